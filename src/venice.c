/*-------------------------------------------------------------------------
 *
 * venice.c
 *		Loading of the library.
 *
 * Without shared_preload_libraries the settings and functions are there, and
 * there are no workers: a dump can be restored on such a server, and what needs
 * a worker says what to set.
 *
 * Must not know: anything that a room could know instead.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"

#include "common/guc.h"
#include "common/shmem.h"
#include "common/write_rate.h"
#include "offline/historical_scan.h"
#include "offline/store_past.h"
#include "read/cache.h"
#include "read/forget.h"
#include "read/statistics.h"
#include "registry/served.h"
#include "worker/database_guard.h"
#include "worker/ingest_api.h"
#include "worker/launcher.h"

PG_MODULE_MAGIC;

extern PGDLLEXPORT void _PG_init(void);

void
_PG_init(void)
{
	DefineSettings();
	IngestApiPublish();
	StorePastInstall();
	HistoricalScanInstall();
	if (!process_shared_preload_libraries_in_progress)
		return;
	SharedMemoryRequest();
	ReadStatisticsRequest();
	CacheRequest();
	ServedLogRequest();
	ForgetTriggerWatch();
	DatabaseGuardInstall();
	WriteRateRequestMemory();
	LauncherRegister();
}
