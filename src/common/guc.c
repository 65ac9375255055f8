/*-------------------------------------------------------------------------
 *
 * guc.c
 *		Settings: the only place that knows their names.
 *
 * What the workers read is SIGHUP; what opens a guard is SUSET.  What sizes shared
 * memory is POSTMASTER, which cannot be defined later: where the library is not
 * preloaded it is SIGHUP, and means nothing, rather than a parameter that every
 * session is warned of.
 *
 * Locks: none.
 * Must not know: what the settings are used for.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/guc.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/guc.h"

#define SECONDS_PER_DAY		86400

/* A place in a stripe of the cache is a number of 32 bits, and there are 256 stripes. */
#define MAX_CACHE_KB		(1024 * 1024 * 1024)

/* The initial values are the defaults: a library that is not preloaded uses them. */
VeniceSettings Settings = {
	.max_ingest_workers = 2,
	.worker_memory_kb = 64 * 1024,
	.batch_rows = 10000,
	.batch_delay_ms = 50,
	.swap_lock_timeout_ms = 50,
	.drop_lock_timeout_ms = 100,
	.rejected_record_retention_s = 7 * SECONDS_PER_DAY,
	.run_retention_s = 90 * SECONDS_PER_DAY,
	.served_log_retention_s = 7 * SECONDS_PER_DAY,
	.served_log_rows = 1000 * 1000,
	.audit_retention_s = 400 * SECONDS_PER_DAY,
	.ingestion = true,
	.allow_direct_dml = false,
	.read_cache = true,
	.project = DEFAULT_PROJECT,
};

static const struct config_enum_entry pit_plans[] = {
	{"auto", PIT_PLAN_AUTO, false},
	{"probe", PIT_PLAN_PROBE, false},
	{"merge", PIT_PLAN_MERGE, false},
	{"instant", PIT_PLAN_INSTANT, false},
	{NULL, 0, false}
};

void
DefineSettings(void)
{
	GucContext	at_start = process_shared_preload_libraries_in_progress ? PGC_POSTMASTER :
		PGC_SIGHUP;

	DefineCustomBoolVariable("venice.allow_direct_dml",
							 "Lets plain INSERT, UPDATE, DELETE and TRUNCATE change complete versions.",
							 "Meant for data-only restores: such changes are in no log and gone at the next push.",
							 &Settings.allow_direct_dml, Settings.allow_direct_dml,
							 PGC_SUSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("venice.audit_retention",
							"How long the history of changes of the registry is kept.",
							NULL, &Settings.audit_retention_s, Settings.audit_retention_s,
							0, INT_MAX, PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("venice.batch_delay",
							"Longest time that an ingested record waits for its batch to fill.",
							NULL, &Settings.batch_delay_ms, Settings.batch_delay_ms,
							1, 60 * 1000, PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("venice.batch_rows",
							"Most records that an ingest worker commits in one transaction.",
							NULL, &Settings.batch_rows, Settings.batch_rows,
							1, 1000 * 1000, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("venice.cache_size",
							"Shared memory for rows of stores whose option \"cache\" is on.",
							"0: none.",
							&Settings.cache_size_kb, Settings.cache_size_kb,
							0, Min(MAX_KILOBYTES, MAX_CACHE_KB), at_start, GUC_UNIT_KB,
							NULL, NULL, NULL);
	DefineCustomIntVariable("venice.drop_lock_timeout",
							"Longest time that who drops a retired version, or adds columns, makes others wait for a lock.",
							NULL, &Settings.drop_lock_timeout_ms, Settings.drop_lock_timeout_ms,
							1, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomBoolVariable("venice.ingestion",
							 "Lets this server consume from Kafka.",
							 "Turn it off on a physical copy of a node before it is started.",
							 &Settings.ingestion, Settings.ingestion,
							 PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("venice.max_ingest_workers",
							"Most processes that consume from Kafka at one time.",
							NULL, &Settings.max_ingest_workers, Settings.max_ingest_workers,
							0, 256, at_start, 0, NULL, NULL, NULL);
	DefineCustomEnumVariable("venice.pit_plan",
							 "How point-in-time joins find the rows of a history.",
							 NULL, &Settings.pit_plan, Settings.pit_plan, pit_plans,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomStringVariable("venice.project",
							   "Project in which names without one are looked for first.",
							   "New entries of the registry are made in it.",
							   &Settings.project, Settings.project,
							   PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomBoolVariable("venice.read_cache",
							 "Lets look-ups be answered from shared memory.",
							 "Off: from the index always.",
							 &Settings.read_cache, Settings.read_cache,
							 PGC_USERSET, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("venice.rejected_record_retention",
							"How long rejected records are kept.",
							NULL, &Settings.rejected_record_retention_s,
							Settings.rejected_record_retention_s,
							0, INT_MAX, PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("venice.run_retention",
							"How long the history of finished pushes is kept.",
							NULL, &Settings.run_retention_s, Settings.run_retention_s,
							0, INT_MAX, PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("venice.served_log_retention",
							"How long logged answers of services are kept.",
							NULL, &Settings.served_log_retention_s,
							Settings.served_log_retention_s,
							0, INT_MAX, PGC_SIGHUP, GUC_UNIT_S, NULL, NULL, NULL);
	DefineCustomIntVariable("venice.served_log_rows",
							"Most logged answers of services that are kept.",
							NULL, &Settings.served_log_rows, Settings.served_log_rows,
							0, INT_MAX, PGC_SIGHUP, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("venice.swap_lock_timeout",
							"Longest time that a swap waits for a running dump.",
							NULL, &Settings.swap_lock_timeout_ms, Settings.swap_lock_timeout_ms,
							1, INT_MAX, PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("venice.worker_memory",
							"Memory that one ingest worker may use for records in flight.",
							NULL, &Settings.worker_memory_kb, Settings.worker_memory_kb,
							16 * 1024, MAX_KILOBYTES, PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);
	MarkGUCPrefixReserved("venice");
}
