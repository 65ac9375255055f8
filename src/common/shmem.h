/*-------------------------------------------------------------------------
 *
 * shmem.h
 *		What venice's processes tell each other.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_SHMEM_H
#define VENICE_SHMEM_H

#include "datatype/timestamp.h"
#include "port/atomics.h"
#include "storage/condition_variable.h"
#include "storage/latch.h"
#include "storage/lwlock.h"

/*
 * For every room above worker/.
 */

/* Ask for the memory, while shared_preload_libraries is being processed. */
extern void SharedMemoryRequest(void);

/* Was the library preloaded, so that there are workers? */
extern bool WorkersPreloaded(void);

/*
 * Raise 55000 unless workers can run here: the library is preloaded and the
 * server is not in recovery.  what begins the message: "a push through Kafka".
 */
extern void WorkersRequire(const char *what);

/*
 * When this transaction commits, wake this database's supervisor, or the
 * launcher if it has none; nothing without preload.  May be called repeatedly.
 */
extern void SupervisorWakeAtCommit(void);

/*
 * Likewise, but in a second: for what a swap leaves, which nobody waits for.  Looking
 * for it and starting a worker costs several times what the swap does, so that
 * those which come together share it, and stay out of each other's way.
 */
extern void MaintenanceSoonAtCommit(void);

/*
 * Likewise the worker that produces what is written to a store, or the supervisor if it
 * has none: see SharedUnit.outbox_written.
 */
extern void OutboxWakeAtCommit(const char *store);

/* Likewise the launcher, so that it looks at this database again. */
extern void LauncherWakeAtCommit(void);

/* Likewise all who wait in StateChangeAwait. */
extern void StateChangeTellAtCommit(void);

/*
 * Wait until some version's state has changed, for timeout_ms at most: without
 * preload and on a standby nobody tells.  In a loop, which looks between two calls:
 * the first returns at once.  StateChangeAwaitEnd ends the loop.
 */
extern void StateChangeAwait(long timeout_ms);
extern void StateChangeAwaitEnd(void);

/*
 * Stop ingesting into a version of a store (-1: all its versions; no store: all
 * stores of the database).  Returns
 * when no worker touches it any more, and keeps it so until the end of the
 * caller's transaction.  Waits interruptibly; the caller must hold no lock that a
 * worker may want for long (it gives up its own waits after a second).
 */
extern void IngestionStop(const char *store, int version);

/*
 * For worker/ and ingest/: the memory itself.  Everything is guarded by
 * Shared->lock, unless it says otherwise.
 */
#define SHARED_DATABASES	128
#define SHARED_WORKERS		256 /* the upper limit of venice.max_ingest_workers */
#define SHARED_UNITS		1024
#define SHARED_HOLDS		128
#define SHARED_PROGRESS		64

typedef enum DatabaseState
{
	DATABASE_UNKNOWN,			/* to be probed */
	DATABASE_ABSENT,			/* has no extension */
	DATABASE_PRESENT
} DatabaseState;

typedef struct SharedDatabase
{
	bool		in_use;
	bool		seen;			/* the launcher's mark while it scans */
	Oid			database;
	DatabaseState state;
	pid_t		pid;			/* of the supervisor or probe, 0: none */
	Latch	   *latch;			/* its latch, NULL until it has attached */
	bool		installed;		/* what its supervisor found */
	uint32		generation;		/* counts wake-ups: a probe that overlapped one is void */
	int			failures;		/* in a row */
	TimestampTz next_start_time;
	TimestampTz starved_since;	/* wants a worker and has none; 0: not starved */
	int			maintenance_failures;	/* rounds in a row that left something undone */
	TimestampTz next_maintenance_time;	/* 0: at the supervisor's next look */
	pid_t		held_by;		/* a backend that needs the database to itself; 0: none */
} SharedDatabase;

typedef struct SharedWorker
{
	bool		in_use;
	uint32		generation;
	Oid			database;
	pid_t		pid;			/* 0 until it has attached */
	Latch	   *latch;
	TimestampTz launch_time;
} SharedWorker;

/* SURFACE's states of a unit of ingestion, in the order of unit_state_names. */
typedef enum UnitState
{
	UNIT_WAITING_FOR_WORKER,
	UNIT_WAITING_FOR_TOPIC,
	UNIT_RUNNING,
	UNIT_CAUGHT_UP,
	UNIT_RETRYING,
	UNIT_PAUSED,
	UNIT_FAILED
} UnitState;

#define LOAD_REGION			(-1)
#define OUTBOX_REGION		(-2)	/* no topic that is read, but what is produced to one */
#define JOINED_VERSIONS		0	/* no version 0 is ever ingested */

#define UNIT_TOPIC_BYTES	250 /* Kafka's limit is 249 */
#define UNIT_ERROR_BYTES	512

/*
 * A partition of one version's topic that is loaded, or of a real-time topic that one
 * version catches up with; or of one that all that have joined are written to from.
 * Or, of OUTBOX_REGION, what was written to a store and is to be produced.
 */
typedef struct SharedUnit
{
	bool		in_use;
	uint32		generation;		/* of the use of this entry */
	Oid			database;
	NameData	store;
	int			version;		/* JOINED_VERSIONS: all that have joined */
	int			region;			/* LOAD_REGION, or that of a real-time topic */
	NameData	server;
	char		topic[UNIT_TOPIC_BYTES];
	int32		partition;		/* -1: its task is to find out how many there are */
	bool		outbox_written; /* since the worker last looked, of OUTBOX_REGION */
	uint32		members;		/* a hash of which versions have joined, and their columns */
	UnitState	state;
	int			worker;			/* index of its worker, -1: none */
	bool		stop_requested;
	bool		end_requested;	/* as the supervisor last read it */
	int			failures;		/* in a row */
	TimestampTz next_retry_time;	/* 0: not waiting */
	int64		next_offset;	/* -1: not known */
	int64		end_offset;		/* -1: not fixed */
	int64		high_watermark; /* -1: not known */
	int64		messages;		/* counters since the push began, as in partition_state */
	int64		bytes;
	int64		rows;
	int64		tombstones;
	int64		rejected;
	TimestampTz last_error_time;
	char		last_error[UNIT_ERROR_BYTES];
} SharedUnit;

/* A backend that must not be disturbed by ingestion until its transaction ends. */
typedef struct SharedHold
{
	pid_t		pid;			/* 0: free */
	Oid			database;
	NameData	store;			/* empty: all */
	int			version;		/* -1: all */
} SharedHold;

/* A version that is being built. */
typedef struct SharedProgress
{
	pid_t		pid;			/* 0: free */
	Oid			database;
	NameData	store;
	int			version;
	int			phase;			/* a BuildPhase, or one of those below */
	TimestampTz started_time;
} SharedProgress;

#define PROGRESS_WARMING	99
#define PROGRESS_SWAPPING	100

/* A point-in-time join that is running (offline/join_progress.c). */
#define SHARED_JOINS		64

typedef struct SharedJoin
{
	pid_t		pid;			/* 0: free */
	Oid			database;
	Oid			role;
	TimestampTz started_time;
	int			phase;			/* a JoinPhase; from here on written without the lock */
	int			stage;			/* which set of keys, from 0 */
	int			stage_count;
	int			workers;
	pg_atomic_uint64 rows_total;	/* 0: not known */
	pg_atomic_uint64 rows_done; /* of the phase, and the stage */
} SharedJoin;

/* Swaps of the databases whose OIDs are alike modulo SHARED_SWAPS: atomics, not under the lock. */
#define SHARED_SWAPS		128

typedef struct SharedSwaps
{
	pg_atomic_uint32 in_commit; /* how many are becoming visible right now */
	pg_atomic_uint64 generation;	/* how many have been */
} SharedSwaps;

typedef struct VeniceShared
{
	LWLock	   *lock;
	ConditionVariable released; /* a worker let go of a unit */
	ConditionVariable state_changed;	/* of some version of some database */
	Latch	   *launcher_latch;
	SharedDatabase databases[SHARED_DATABASES];
	int			worker_count;	/* venice.max_ingest_workers */
	SharedWorker workers[SHARED_WORKERS];
	SharedUnit	units[SHARED_UNITS];
	SharedHold	holds[SHARED_HOLDS];
	SharedProgress progress[SHARED_PROGRESS];
	SharedJoin	joins[SHARED_JOINS];
	SharedSwaps swaps[SHARED_SWAPS];
} VeniceShared;

/* NULL without preload. */
extern VeniceShared *Shared;

extern const char *UnitStateName(UnitState state);

/* The entry of a database, or NULL; made with make if there is room.  Lock held exclusively. */
extern SharedDatabase *SharedDatabaseFind(Oid database, bool make);

/* Tell this database's supervisor that there is something to look at. */
extern void SupervisorWake(void);

/* Does some backend hold this version of this database?  Lock held. */
extern bool SharedVersionIsHeld(const char *store, int version);

/* Say what is being built here; the entry goes with ProgressEnd or the end of the process. */
extern void ProgressReport(const char *store, int version, int phase);
extern void ProgressEnd(void);

#endif							/* VENICE_SHMEM_H */
