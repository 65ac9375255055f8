/*-------------------------------------------------------------------------
 *
 * launcher.h
 *		One process per cluster, which starts a supervisor in every database
 *		that has the extension.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_LAUNCHER_H
#define VENICE_LAUNCHER_H

/* Register it with the postmaster, while shared_preload_libraries is being processed. */
extern void LauncherRegister(void);

/*
 * Start one of our processes in a database and have SIGUSR1 sent here when it
 * starts and stops; false when there is no room for one more.  role begins the
 * bgw_type: "supervisor".
 */
struct BackgroundWorkerHandle;
extern bool WorkerStart(const char *library, const char *function, const char *role,
						Oid database, int argument, struct BackgroundWorkerHandle **handle);

/* Say so in the server's log, at most once a minute for each process that calls it. */
extern void WorkerWarnNoSlot(const char *role);

#endif							/* VENICE_LAUNCHER_H */
