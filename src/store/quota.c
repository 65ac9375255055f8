/*-------------------------------------------------------------------------
 *
 * quota.c
 *		What a store may hold, and how fast it may be written to.
 *
 * Who calls is told; what workers ingest waits instead, and shows it.  The size is
 * what the files have when it is asked for.
 *
 * Locks: none that are kept.
 * Must not know: workers.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "store/quota.h"

#include "utils/builtins.h"

#include "common/query.h"
#include "common/write_rate.h"

void
QuotaCheckStorage(const Store *store)
{
	static SPIPlanPtr plan = NULL;
	QuerySession session;
	QueryArgs	args = {0};
	int64		bytes = 0;
	bool		is_over;

	if (store->options->storage_quota == 0)
		return;
	QueryBeginRegistry(&session);
	QueryArgText(&args, store->name);
	is_over = QueryRunKept(&plan, "SELECT bytes FROM venice_internal.over_quota "
						   "WHERE store_name = $1::name", &args) > 0;
	if (is_over)
		bytes = QueryInt8(0, 1, 0);
	QueryEnd(&session);
	if (is_over)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("store \"%s\" is over its storage quota", store->name),
				 errdetail("Its versions have %lld bytes of %lld.", (long long) bytes,
						   (long long) store->options->storage_quota),
				 errhint("Drop a version with venice.drop_version(%s, ...), or raise the option storage_quota.",
						 quote_literal_cstr(store->name))));
}

void
QuotaCheckWrites(const Store *store)
{
	if (store->options->write_quota == 0)
		return;
	WriteRateSet(store->name, store->options->write_quota);
	if (WriteRateWaitMs(store->name) > 0)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("store \"%s\" is over its write quota", store->name),
				 errdetail("It takes %d rows per second.", store->options->write_quota),
				 errhint("Try again in a moment, or raise the option write_quota.")));
}

void
QuotaCountWrites(const Store *store, int64 rows)
{
	if (store->options->write_quota > 0)
		WriteRateCount(store->name, rows);
}
