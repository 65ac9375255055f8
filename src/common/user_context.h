/*-------------------------------------------------------------------------
 *
 * user_context.h
 *		Acting as somebody else for a stretch of code.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_USER_CONTEXT_H
#define VENICE_USER_CONTEXT_H

typedef struct UserContext
{
	Oid			saved_user;
	int			saved_security;
	int			saved_nest_level;
} UserContext;

/*
 * Become role, in a security-restricted operation and with search_path locked
 * to pg_catalog, until UserContextLeave.  An error in between needs no
 * clean-up: (sub)transaction abort restores both.
 */
extern void UserContextEnter(UserContext *context, Oid role);

/* The same with the caller's search_path, to read what somebody wrote who meant his own. */
extern void UserContextEnterToRead(UserContext *context, Oid role);
extern void UserContextLeave(UserContext *context);

/*
 * Is the extension installed?  If so, it is not dropped before the end of the
 * transaction: who does so waits.
 */
extern bool ExtensionHold(void);

/* The owner of the extension, as whom the venice.* tables are read and written. */
extern Oid	ExtensionOwner(void);

#endif							/* VENICE_USER_CONTEXT_H */
