/*-------------------------------------------------------------------------
 *
 * table_lock.h
 *		Locking a table against everybody without making anybody wait.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_TABLE_LOCK_H
#define VENICE_TABLE_LOCK_H

/*
 * Take AccessExclusiveLock on a table, to the end of the transaction, as soon as
 * nobody else has any lock on it, trying for up to timeout_ms; false if somebody
 * always had.
 */
extern bool TableLockUnqueued(Oid table, int timeout_ms);

/*
 * The same in the queue, where who comes later waits as long: for who would never find it
 * free.
 */
extern bool TableLockQueued(Oid table, int timeout_ms);

/* Would it be to be had now?  No lock is taken. */
extern bool TableIsUnlocked(Oid table);

/* "process 1234, a prepared transaction": who has locks on a table; palloc'd. */
extern char *TableLockHolders(Oid table);

#endif							/* VENICE_TABLE_LOCK_H */
