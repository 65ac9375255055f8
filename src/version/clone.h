/*-------------------------------------------------------------------------
 *
 * clone.h
 *		Indexes, constraints and triggers that users put on the current version.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_CLONE_H
#define VENICE_CLONE_H

/*
 * Make on the table `to` what users have made on the table `from`.  As the
 * current user, who is the store's owner.
 */
extern void CloneUserObjects(Oid from, Oid to);

#endif							/* VENICE_CLONE_H */
