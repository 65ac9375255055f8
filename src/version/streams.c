/*-------------------------------------------------------------------------
 *
 * streams.c
 *		How far versions are with the real-time topics of their store.
 *
 * A version that has caught up once has joined the others: from then on one
 * transaction writes to them all.  The store's history has a position of its own,
 * like one more version, so that each record is appended to it once.
 *
 * Locks: rows of venice.partition_state.
 * Must not know: who reads the topics.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "version/streams.h"

#include "utils/builtins.h"
#include "utils/snapmgr.h"

#include "common/query.h"

static const char *
state_table(const Version *version)
{
	return version->options->unlogged ? "venice.unlogged_partition_state" :
		"venice.partition_state";
}

bool
VersionHasCaughtUp(const Version *version)
{
	QuerySession session;
	QueryArgs	args = {0};
	bool		result;

	if (version->options->real_time_topics == NIL)
		return true;
	QueryBeginRegistry(&session);
	QueryArgText(&args, version->store);
	QueryArgInt4(&args, version->number);
	result = QueryRunLatest("SELECT FROM venice.store_version v WHERE store_name = $1::name "
							"AND version = $2 AND " V_HAS_CAUGHT_UP, &args) == 1;
	QueryEnd(&session);
	return result;
}

void
VersionCheckCaughtUp(const Version *version)
{
	if (!VersionHasCaughtUp(version))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("version %d of store \"%s\" has not caught up with its real-time topics",
						version->number, version->store),
				 errdetail("Rows that were written lately are missing in it."),
				 errhint("Look at venice.stat_ingestion; CALL venice.wait_for_push(%s) waits for it.",
						 quote_literal_cstr(version->store))));
}

/* Positions of a version in one topic, as the active snapshot has them; NULL for none. */
static Jsonb *
read_positions(const Version *version, int region, const char *topic)
{
	QuerySession session;
	QueryArgs	args = {0};
	Jsonb	   *positions;

	QueryBeginRegistry(&session);
	QueryArgText(&args, version->store);
	QueryArgInt4(&args, version->number);
	QueryArgInt4(&args, region);
	QueryArgText(&args, topic);
	(void) QueryRead(psprintf("SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object("
							  "'partition', p.partition, 'next_offset', p.next_offset, "
							  "'last_record_time', p.last_record_time)) FROM %s p "
							  "WHERE store_name = $1::name AND version = $2 AND region = $3 "
							  "AND topic = $4", state_table(version)), &args);
	positions = QueryJsonb(0, 1, session.result_context);
	QueryEnd(&session);
	return positions;
}

void
VersionStreamsCopy(const Version *from, const Version *to, Snapshot snapshot)
{
	ListCell   *cell;

	PushActiveSnapshot(snapshot);
	foreach(cell, to->options->real_time_topics)
	{
		int			region = foreach_current_index(cell);
		char	   *topic = RealTimeTopicName(lfirst(cell), to->store);
		Jsonb	   *positions = read_positions(from, region, topic);
		QuerySession session;
		QueryArgs	args = {0};

		if (positions == NULL)
			continue;
		QueryBeginRegistry(&session);
		QueryArgText(&args, to->store);
		QueryArgInt4(&args, to->number);
		QueryArgInt4(&args, region);
		QueryArgText(&args, topic);
		QueryArgJsonb(&args, positions);
		(void) QueryRun(psprintf("INSERT INTO %s (store_name, version, region, topic, partition, "
								 "next_offset, last_record_time) "
								 "SELECT $1::name, $2, $3, $4, p.* FROM "
								 "pg_catalog.jsonb_to_recordset($5) AS p "
								 "(partition integer, next_offset bigint, last_record_time timestamptz)",
								 state_table(to)), &args);
		QueryEnd(&session);
	}
	PopActiveSnapshot();
}

/*
 * Where there is nothing yet, whoever is about to write to the version has to wait for its
 * positions.  What the history had before, and the version has not, it gets once more.
 */
void
HistoryStreamsBegin(const Store *store, const Version *version)
{
	QuerySession session;
	QueryArgs	args = {0};

	if (version->options->real_time_topics == NIL)
		return;
	QueryBeginRegistry(&session);
	QueryArgText(&args, store->name);
	QueryArgInt4(&args, version->number);
	QueryArgInt4(&args, HISTORY_VERSION);
	(void) QueryRunLatest(psprintf("SELECT FROM %s p WHERE store_name = $1::name AND version = $2 "
								   "AND joined AND NOT EXISTS (SELECT FROM venice.partition_state h "
								   "WHERE h.store_name = p.store_name AND h.version = $3 "
								   "AND h.region = p.region AND h.topic = p.topic "
								   "AND h.partition = p.partition) FOR UPDATE",
								   state_table(version)), &args);
	(void) QueryRunLatest(psprintf("INSERT INTO venice.partition_state AS h (store_name, version, "
								   "region, topic, partition, next_offset, last_record_time, joined) "
								   "SELECT store_name, $3, region, topic, partition, next_offset, "
								   "last_record_time, true FROM %s WHERE store_name = $1::name "
								   "AND version = $2 AND region >= 0 AND joined "
								   "ON CONFLICT (store_name, version, region, topic, partition) "
								   "DO UPDATE SET next_offset = EXCLUDED.next_offset, "
								   "last_record_time = EXCLUDED.last_record_time "
								   "WHERE h.next_offset > EXCLUDED.next_offset",
								   state_table(version)), &args);
	QueryEnd(&session);
}

void
HistoryStreamsEnd(const char *store)
{
	QuerySession session;
	QueryArgs	args = {0};

	QueryBeginRegistry(&session);
	QueryArgText(&args, store);
	QueryArgInt4(&args, HISTORY_VERSION);
	(void) QueryRun("DELETE FROM venice.partition_state "
					"WHERE store_name = $1::name AND version = $2", &args);
	QueryEnd(&session);
}
