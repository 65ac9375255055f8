/*-------------------------------------------------------------------------
 *
 * join_team.c
 *		Parallel workers that match batches of a spine.
 *
 * The spine is read and sorted by the backend, so that it may be any query.  What takes
 * long is to find the rows of histories: for that a batch's keys and times go to a worker, and
 * what was found comes back; the rows of the spine stay.  A batch is a range of
 * keys, so that each process reads its own part of an index.
 *
 * A worker prepares the views from the same texts as the backend did, under the same
 * snapshot and user, and so comes to the same tables and rights.
 *
 * No one waits for one who waits for him: a worker that has work not yet begun is only given more
 * where the queue has room for all of it.
 *
 * Locks: none; queues in dynamic shared memory.
 * Must not know: how tables are looked through.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "offline/join_team.h"

#include "access/parallel.h"
#include "access/xact.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "nodes/value.h"
#include "optimizer/clauses.h"
#include "storage/latch.h"
#include "storage/shm_mq.h"
#include "storage/shm_toc.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "common/compat.h"
#include "offline/history_cursor.h"
#include "offline/join_direct.h"
#include "offline/select.h"

#define KEY_VIEWS		UINT64CONST(0x5645000000000001)
#define KEY_QUEUES		UINT64CONST(0x5645000000000002)

/* Batches that a worker has at once: one to work on, and the next. */
#define MEMBER_BATCHES	2
#define QUEUE_BYTES_MAX (16 * 1024 * 1024)

typedef struct Column
{
	Oid			type;
	int16		length;
	bool		by_value;
} Column;

typedef struct Columns
{
	int			count;
	Column	   *columns;
	bool		by_value;		/* all are */
} Columns;

/* Each worker has a queue of work and a queue of what was found. */
typedef struct TeamShared
{
	Size		work_bytes;
	Size		found_bytes;
	char		queues[FLEXIBLE_ARRAY_MEMBER];
} TeamShared;

typedef struct Member
{
	shm_mq_handle *work;
	shm_mq_handle *found;
	int			batch_count;	/* given and not taken back, the oldest first */
	const JoinBatch *batches[MEMBER_BATCHES];
	JoinFound  *founds[MEMBER_BATCHES];
} Member;

struct JoinTeam
{
	ParallelContext *parallel;
	List	   *runs;
	Columns		keys;
	Columns    *features;		/* of each view */
	int			member_count;
	Member	   *members;
	int			next;			/* who is asked first */
	StringInfoData message;
};

PGDLLEXPORT void venice_join_worker(dsm_segment *segment, shm_toc *toc);

static Node *
text_node(const char *text)
{
	return (Node *) makeString(pstrdup(text != NULL ? text : ""));
}

static Node *
number_node(int64 number)
{
	return text_node(psprintf(INT64_FORMAT, number));
}

static List *
text_nodes(const List *texts)
{
	List	   *nodes = NIL;
	const ListCell *cell;

	foreach(cell, texts)
		nodes = lappend(nodes, text_node(lfirst(cell)));
	return nodes;
}

static char *
node_text(const List *list, int at)
{
	char	   *text = strVal(list_nth(list, at));

	return text[0] != '\0' ? text : NULL;
}

static int64
node_number(const List *list, int at)
{
	return strtoi64(strVal(list_nth(list, at)), NULL, 10);
}

static List *
node_texts(const List *list, int at)
{
	List	   *texts = NIL;
	const ListCell *cell;

	foreach(cell, (List *) list_nth(list, at))
		texts = lappend(texts, strVal(lfirst(cell)));
	return texts;
}

/* A view, such as a worker needs to know it; read_view has the same order. */
static List *
write_view(const JoinViewRun *run)
{
	const JoinView *view = run->view;
	const HistorySource *source = view->source;
	List	   *nodes = list_make4(text_node(view->label), number_node(source->relation),
								   text_node(source->alias), text_nodes(source->key_columns));

	nodes = lappend(nodes, text_node(source->event_time));
	nodes = lappend(nodes, text_node(source->time_zone));
	nodes = lappend(nodes, text_node(source->created_time));
	nodes = lappend(nodes, text_node(source->arrival));
	nodes = lappend(nodes, text_node(source->deleted));
	nodes = lappend(nodes, text_nodes(run->expressions));
	nodes = lappend(nodes, number_node(view->ttl_us));
	nodes = lappend(nodes, number_node(view->delay_us));
	nodes = lappend(nodes, number_node(view->window_us));
	nodes = lappend(nodes, number_node(view->strict));
	nodes = lappend(nodes, number_node(view->created_cutoff));
	nodes = lappend(nodes, number_node(view->with_status));
	nodes = lappend(nodes, number_node(run->least_time));
	nodes = lappend(nodes, number_node(run->greatest_time));
	nodes = lappend(nodes, number_node(run->spine_rows));
	return nodes;
}

static JoinViewRun *
read_view(const List *nodes, TupleDesc keys)
{
	JoinView   *view = palloc0(sizeof(JoinView));
	HistorySource *source = palloc0(sizeof(HistorySource));
	JoinViewRun *run;
	int			i;

	view->label = node_text(nodes, 0);
	source->relation = node_number(nodes, 1);
	source->alias = node_text(nodes, 2);
	source->key_columns = node_texts(nodes, 3);
	source->event_time = node_text(nodes, 4);
	source->time_zone = node_text(nodes, 5);
	source->created_time = node_text(nodes, 6);
	source->arrival = node_text(nodes, 7);
	source->deleted = node_text(nodes, 8);
	source->expressions = node_texts(nodes, 9);
	view->source = source;
	for (i = 0; i < keys->natts; i++)
		view->spine_keys = lappend_int(view->spine_keys, i + 1);
	for (i = 0; i < list_length(source->expressions); i++)
		view->features = lappend_int(view->features, i);
	view->ttl_us = node_number(nodes, 10);
	view->delay_us = node_number(nodes, 11);
	view->window_us = node_number(nodes, 12);
	view->strict = node_number(nodes, 13);
	view->created_cutoff = node_number(nodes, 14);
	view->with_status = node_number(nodes, 15);
	run = JoinViewPrepare(view, keys);
	run->plan = JOIN_PLAN_PROBE;
	run->spine_rows = node_number(nodes, 18);
	run->report_context = CurrentMemoryContext;
	JoinViewRange(run, node_number(nodes, 16), node_number(nodes, 17));
	return run;
}

/* May a worker evaluate the view's expressions, and see its tables? */
static bool
is_parallel_view(const JoinViewRun *run)
{
	Query	   *query = SelectAnalyze(HistoryQuery(run->view->source, run->expressions), "history",
									  NULL, 0);

	return max_parallel_hazard(query) == PROPARALLEL_SAFE &&
		get_rel_persistence(run->view->source->relation) != RELPERSISTENCE_TEMP;
}

static void
add_column(Columns *columns, Oid type)
{
	Column	   *column;

	columns->columns = columns->columns == NULL ? palloc(sizeof(Column)) :
		repalloc(columns->columns, sizeof(Column) * (columns->count + 1));
	column = &columns->columns[columns->count];
	column->type = type;
	get_typlenbyval(type, &column->length, &column->by_value);
	columns->by_value = columns->by_value && column->by_value;
	columns->count++;
}

static Columns
feature_columns(const JoinViewRun *run)
{
	Columns		columns = {.by_value = true};
	const ListCell *cell;

	foreach(cell, JoinDirectFeatureTypes(run))
		add_column(&columns, lfirst_oid(cell));
	return columns;
}

static Size
queue_bytes(Size row_bytes, int rows, int batches)
{
	Size		bytes = (row_bytes * rows + 1024) * batches;

	return MAXALIGN(Min(Max(bytes, 64 * 1024), QUEUE_BYTES_MAX));
}

static Size
found_row_bytes(const List *runs)
{
	Size		bytes = 0;
	const ListCell *cell;

	foreach(cell, runs)
		bytes += sizeof(JoinStatus) + sizeof(TimestampTz) +
			((JoinViewRun *) lfirst(cell))->feature_count * (sizeof(Datum) + sizeof(bool));
	return bytes;
}

static shm_mq *
team_queue(TeamShared *shared, int member, bool of_found)
{
	return (shm_mq *) (shared->queues + (shared->work_bytes + shared->found_bytes) * member +
					   (of_found ? shared->work_bytes : 0));
}

static void
share(JoinTeam *team)
{
	ParallelContext *parallel = team->parallel;
	List	   *views = NIL;
	List	   *types = NIL;
	char	   *text;
	char	   *copy;
	TeamShared *shared;
	Size		work_bytes = queue_bytes(sizeof(TimestampTz) + sizeof(bool) +
										 sizeof(Datum) * team->keys.count, JOIN_WORKER_ROWS,
										 MEMBER_BATCHES);
	Size		found_bytes = queue_bytes(found_row_bytes(team->runs), JOIN_WORKER_ROWS,
										  1);
	Size		shared_bytes;
	const ListCell *cell;
	int			i;

	for (i = 0; i < team->keys.count; i++)
		types = lappend(types, number_node(team->keys.columns[i].type));
	foreach(cell, team->runs)
		views = lappend(views, write_view(lfirst(cell)));
	text = nodeToString(list_make2(types, views));
	shared_bytes = MAXALIGN(offsetof(TeamShared, queues)) +
		(work_bytes + found_bytes) * parallel->nworkers;

	shm_toc_estimate_chunk(&parallel->estimator, strlen(text) + 1);
	shm_toc_estimate_chunk(&parallel->estimator, shared_bytes);
	shm_toc_estimate_keys(&parallel->estimator, 2);
	InitializeParallelDSM(parallel);
	if (parallel->nworkers == 0)
		return;					/* there was no memory to share */
	copy = shm_toc_allocate(parallel->toc, strlen(text) + 1);
	strcpy(copy, text);
	shm_toc_insert(parallel->toc, KEY_VIEWS, copy);
	shared = shm_toc_allocate(parallel->toc, shared_bytes);
	shared->work_bytes = work_bytes;
	shared->found_bytes = found_bytes;
	shm_toc_insert(parallel->toc, KEY_QUEUES, shared);

	team->members = palloc0(sizeof(Member) * parallel->nworkers);
	for (i = 0; i < parallel->nworkers; i++)
	{
		shm_mq	   *work = shm_mq_create(team_queue(shared, i, false), work_bytes);
		shm_mq	   *found = shm_mq_create(team_queue(shared, i, true), found_bytes);

		shm_mq_set_sender(work, MyProc);
		shm_mq_set_receiver(found, MyProc);
		team->members[i].work = shm_mq_attach(work, parallel->seg, NULL);
		team->members[i].found = shm_mq_attach(found, parallel->seg, NULL);
	}
}

JoinTeam *
JoinTeamBegin(List *runs, const Oid *key_types)
{
	int			workers = ((JoinViewRun *) linitial(runs))->workers;
	JoinTeam   *team;
	const ListCell *cell;
	int			i;

	if (workers == 0)
		return NULL;
	foreach(cell, runs)
		if (!is_parallel_view(lfirst(cell)))
			return NULL;
	team = palloc0(sizeof(JoinTeam));
	team->runs = runs;
	team->keys.by_value = true;
	for (i = 0; i < ((JoinViewRun *) linitial(runs))->key_count; i++)
		add_column(&team->keys, key_types[i]);
	team->features = palloc(sizeof(Columns) * list_length(runs));
	foreach(cell, runs)
		team->features[foreach_current_index(cell)] = feature_columns(lfirst(cell));
	initStringInfo(&team->message);
	EnterParallelMode();
	team->parallel = CreateParallelContext("venice", "venice_join_worker", workers);
	share(team);
	LaunchParallelWorkers(team->parallel);
	team->member_count = team->parallel->nworkers_launched;
	if (team->member_count == 0)
	{
		DestroyParallelContext(team->parallel);
		ExitParallelMode();
		return NULL;
	}
	for (i = 0; i < team->member_count; i++)
	{
		shm_mq_set_handle(team->members[i].work, team->parallel->worker[i].bgwhandle);
		shm_mq_set_handle(team->members[i].found, team->parallel->worker[i].bgwhandle);
	}
	return team;
}

int
JoinTeamSize(const JoinTeam *team)
{
	return team->member_count;
}

/* Its error, if it had one, else that it is gone. */
pg_noreturn static void
raise_lost(JoinTeam *team)
{
	WaitForParallelWorkersToFinish(team->parallel);
	ereport(ERROR,
			(errcode(ERRCODE_INTERNAL_ERROR),
			 errmsg("lost connection to parallel worker")));
	pg_unreachable();
}

static int
batches_at_once(const JoinTeam *team)
{
	return team->keys.by_value ? MEMBER_BATCHES : 1;
}

bool
JoinTeamWants(JoinTeam *team)
{
	int			i;

	/* Who has least comes first. */
	team->next = 0;
	for (i = 1; i < team->member_count; i++)
		if (team->members[i].batch_count < team->members[team->next].batch_count)
			team->next = i;
	return team->members[team->next].batch_count < batches_at_once(team);
}

static void
append(StringInfo message, const void *data, Size bytes)
{
	enlargeStringInfo(message, bytes);
	memcpy(message->data + message->len, data, bytes);
	message->len += bytes;
}

static void
take(const char **from, void *data, Size bytes)
{
	memcpy(data, *from, bytes);
	*from += bytes;
}

/* Values in columns, of the rows that there are any of; nulls may be NULL. */
static void
append_values(StringInfo message, const Columns *columns, int row_count, const bool *rows,
			  const Datum *values, const bool *nulls)
{
	int64		count = (int64) row_count * columns->count;
	int64		i;

	if (columns->by_value)
	{
		append(message, values, sizeof(Datum) * count);
		if (nulls != NULL)
			append(message, nulls, sizeof(bool) * count);
		return;
	}
	for (i = 0; i < count; i++)
	{
		const Column *column = &columns->columns[i % columns->count];
		bool		is_null = nulls != NULL && nulls[i];
		char	   *at;

		if (!rows[i / columns->count])
			continue;
		enlargeStringInfo(message, datumEstimateSpace(values[i], is_null, column->by_value,
													  column->length));
		at = message->data + message->len;
		datumSerialize(values[i], is_null, column->by_value, column->length, &at);
		message->len = at - message->data;
	}
}

/* The same read into memory of context. */
static void
take_values(const char **from, const Columns *columns, int row_count, const bool *rows,
			Datum *values, bool *nulls, MemoryContext context)
{
	int64		count = (int64) row_count * columns->count;
	MemoryContext old;
	int64		i;

	if (columns->by_value)
	{
		take(from, values, sizeof(Datum) * count);
		if (nulls != NULL)
			take(from, nulls, sizeof(bool) * count);
		return;
	}
	old = MemoryContextSwitchTo(context);
	for (i = 0; i < count; i++)
	{
		bool		is_null = true;

		if (rows[i / columns->count])
			values[i] = datumRestore((char **) from, &is_null);
		if (nulls != NULL)
			nulls[i] = is_null;
	}
	MemoryContextSwitchTo(old);
}

/* Which rows have values, of what was found? */
static bool *
rows_present(const JoinBatch *batch, const JoinFound *found)
{
	bool	   *rows = MemoryContextAlloc(batch->context, batch->row_count);
	int			i;

	for (i = 0; i < batch->row_count; i++)
		rows[i] = found->status[i] == JOIN_PRESENT;
	return rows;
}

void
JoinTeamGive(JoinTeam *team, const JoinBatch *batch, JoinFound *found)
{
	Member	   *member = &team->members[team->next];

	resetStringInfo(&team->message);
	append(&team->message, &batch->row_count, sizeof(int));
	append(&team->message, batch->times, sizeof(TimestampTz) * batch->row_count);
	append(&team->message, batch->matchable, sizeof(bool) * batch->row_count);
	append_values(&team->message, &team->keys, batch->row_count, batch->matchable, batch->keys,
				  NULL);
	if (shm_mq_send(member->work, team->message.len, team->message.data, false, true) !=
		SHM_MQ_SUCCESS)
		raise_lost(team);
	member->batches[member->batch_count] = batch;
	member->founds[member->batch_count] = found;
	member->batch_count++;
}

/* What a member has found for the oldest of its batches. */
static const JoinBatch *
take_batch(JoinTeam *team, Member *member, const char *message)
{
	const JoinBatch *batch = member->batches[0];
	JoinFound  *found = member->founds[0];
	int			view;

	for (view = 0; view < list_length(team->runs); view++)
	{
		take(&message, found[view].status, sizeof(JoinStatus) * batch->row_count);
		take(&message, found[view].event_times, sizeof(TimestampTz) * batch->row_count);
		take_values(&message, &team->features[view], batch->row_count,
					rows_present(batch, &found[view]), found[view].values, found[view].nulls,
					batch->context);
	}
	member->batch_count--;
	memmove(member->batches, member->batches + 1, sizeof(JoinBatch *) * member->batch_count);
	memmove(member->founds, member->founds + 1, sizeof(JoinFound *) * member->batch_count);
	return batch;
}

const JoinBatch *
JoinTeamTake(JoinTeam *team, bool wait)
{
	for (;;)
	{
		bool		any_out = false;
		int			i;

		for (i = 0; i < team->member_count; i++)
		{
			Member	   *member = &team->members[i];
			Size		bytes;
			void	   *message;
			shm_mq_result result;

			if (member->batch_count == 0)
				continue;
			any_out = true;
			result = shm_mq_receive(member->found, &bytes, &message, true);
			if (result == SHM_MQ_DETACHED)
				raise_lost(team);
			if (result == SHM_MQ_SUCCESS)
				return take_batch(team, member, message);
		}
		if (!wait || !any_out)
			return NULL;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, 0,
						 WAIT_EVENT_EXECUTE_GATHER);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

/* Counts of a view's steps, in their order. */
static void
add_counts(const JoinViewRun *run, const char **message)
{
	const ListCell *cell;

	foreach(cell, run->steps)
	{
		JoinStep   *step = lfirst(cell);
		int64		counts[3];

		take(message, counts, sizeof(counts));
		step->descents += counts[0];
		step->entries_read += counts[1];
		step->rows_read += counts[2];
	}
}

void
JoinTeamEnd(JoinTeam *team, bool is_done)
{
	int			no_rows = 0;
	int			i;

	for (i = 0; i < team->member_count; i++)
	{
		Member	   *member = &team->members[i];
		Size		bytes;
		void	   *data;
		const char *message;
		const ListCell *cell;

		if (!is_done)
		{
			shm_mq_detach(member->work);
			shm_mq_detach(member->found);
			continue;
		}
		if (shm_mq_send(member->work, sizeof(int), &no_rows, false, true) != SHM_MQ_SUCCESS ||
			shm_mq_receive(member->found, &bytes, &data, false) != SHM_MQ_SUCCESS)
			raise_lost(team);
		message = data;
		foreach(cell, team->runs)
			add_counts(lfirst(cell), &message);
	}
	WaitForParallelWorkersToFinish(team->parallel);
	DestroyParallelContext(team->parallel);
	ExitParallelMode();
}

static void
write_counts(StringInfo message, const JoinViewRun *run)
{
	const ListCell *cell;

	foreach(cell, run->steps)
	{
		const JoinStep *step = lfirst(cell);
		int64		counts[3] = {step->descents, step->entries_read, step->rows_read};

		append(message, counts, sizeof(counts));
	}
}

/* Do what is in a message, and write what was found. */
static void
do_batch(List *runs, const Columns *keys, JoinBatch *batch, JoinFound *founds, const char *work,
		 StringInfo message)
{
	const ListCell *cell;
	int64		rows = batch->row_count;

	take(&work, batch->times, sizeof(TimestampTz) * rows);
	take(&work, batch->matchable, sizeof(bool) * rows);
	take_values(&work, keys, batch->row_count, batch->matchable, batch->keys, NULL, batch->context);
	resetStringInfo(message);
	foreach(cell, runs)
	{
		JoinViewRun *run = lfirst(cell);
		JoinFound  *found = &founds[foreach_current_index(cell)];
		Columns		features = feature_columns(run);

		JoinDirectMatch(run, batch, found);
		append(message, found->status, sizeof(JoinStatus) * rows);
		append(message, found->event_times, sizeof(TimestampTz) * rows);
		append_values(message, &features, batch->row_count, rows_present(batch, found),
					  found->values, found->nulls);
	}
}

/*
 * venice_join_worker
 *		A worker's main function, called by the server's infrastructure.
 */
void
venice_join_worker(dsm_segment *segment, shm_toc *toc)
{
	List	   *shared_nodes = stringToNode(shm_toc_lookup(toc, KEY_VIEWS, false));
	TeamShared *shared = shm_toc_lookup(toc, KEY_QUEUES, false);
	List	   *types = linitial(shared_nodes);
	TupleDesc	key_columns = CreateTemplateTupleDesc(list_length(types));
	Columns		keys = {.by_value = true};
	JoinBatch	batch = {0};
	JoinFound  *founds = palloc(sizeof(JoinFound) * list_length(lsecond(shared_nodes)));
	List	   *runs = NIL;
	bool		is_done = false;
	shm_mq	   *queue = team_queue(shared, ParallelWorkerNumber, false);
	shm_mq_handle *work;
	shm_mq_handle *found;
	StringInfoData message;
	const ListCell *cell;

	shm_mq_set_receiver(queue, MyProc);
	work = shm_mq_attach(queue, segment, NULL);
	queue = team_queue(shared, ParallelWorkerNumber, true);
	shm_mq_set_sender(queue, MyProc);
	found = shm_mq_attach(queue, segment, NULL);

	foreach(cell, types)
	{
		AttrNumber	at = foreach_current_index(cell) + 1;

		TupleDescInitEntry(key_columns, at, "key", node_number(types, at - 1), -1, 0);
		add_column(&keys, node_number(types, at - 1));
	}
	foreach(cell, (List *) lsecond(shared_nodes))
	{
		JoinViewRun *run = read_view(lfirst(cell), key_columns);

		if (!JoinDirectBegin(run, 1))
			elog(ERROR, "parallel worker must not read history of \"%s\"", run->view->label);
		JoinFoundMake(run, JOIN_WORKER_ROWS, &founds[list_length(runs)]);
		runs = lappend(runs, run);
	}
	batch.key_count = keys.count;
	batch.times = palloc(sizeof(TimestampTz) * JOIN_WORKER_ROWS);
	batch.matchable = palloc(sizeof(bool) * JOIN_WORKER_ROWS);
	batch.keys = palloc(sizeof(Datum) * Max(keys.count, 1) * JOIN_WORKER_ROWS);
	batch.context = AllocSetContextCreate(CurrentMemoryContext, "venice join batch",
										  ALLOCSET_DEFAULT_SIZES);
	initStringInfo(&message);
	for (;;)
	{
		Size		bytes;
		void	   *data;
		const char *text;

		/* The backend may have failed, or want no more. */
		if (shm_mq_receive(work, &bytes, &data, false) != SHM_MQ_SUCCESS)
			break;
		text = data;
		take(&text, &batch.row_count, sizeof(int));
		is_done = batch.row_count == 0;
		if (is_done)
			break;
		MemoryContextReset(batch.context);
		do_batch(runs, &keys, &batch, founds, text, &message);
		if (shm_mq_send(found, message.len, message.data, false, true) != SHM_MQ_SUCCESS)
			break;
	}
	resetStringInfo(&message);
	foreach(cell, runs)
	{
		write_counts(&message, lfirst(cell));
		JoinDirectEnd(lfirst(cell));
	}
	if (is_done)
		(void) shm_mq_send(found, message.len, message.data, false, true);
}
