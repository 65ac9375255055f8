/*-------------------------------------------------------------------------
 *
 * database_guard.h
 *		Gets our processes out of the way of DROP DATABASE and its like.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_DATABASE_GUARD_H
#define VENICE_DATABASE_GUARD_H

/* Install the hook, while shared_preload_libraries is being processed. */
extern void DatabaseGuardInstall(void);

#endif							/* VENICE_DATABASE_GUARD_H */
