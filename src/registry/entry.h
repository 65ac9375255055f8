/*-------------------------------------------------------------------------
 *
 * entry.h
 *		What all entries of the registry have: a lock, an owner, a project that
 *		is looked in, options, and a history of changes.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_ENTRY_H
#define VENICE_ENTRY_H

#include "fmgr.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "registry/reference.h"

/*
 * The lock that serialises changes of the registry, to the end of the transaction.
 * 25006 where nothing can be written; 40001 in REPEATABLE READ when somebody has
 * changed it since the transaction's snapshot.
 */
extern void RegistryLock(FunctionCallInfo fcinfo);

/* Has a role the rights of the role of that name?  Of one that is gone: the database's owner's. */
extern bool RegistryHasMember(const char *owner, Oid role);

/* Has the role USAGE on the schema of a store's records, and SELECT on a column of them? */
extern bool RegistryCanRead(Oid records, Oid role);

/*
 * Raise 42704 unless the current user may make entries in the project, and so knows
 * of it: "default", or one of whose owner he is a member.
 */
extern void RegistryCheckProject(const char *project);

/*
 * Take apart what a new entry is to be called, with the current project where none is
 * given.  Raises what RegistryCheckName and RegistryCheckProject raise.
 */
extern void RegistryParseNew(const char *what, const char *text, Reference *reference);

/*
 * The project of the entry that a reference names, among those that one of the views
 * for people ("entities", …; its columns are project and name) shows the current user;
 * NULL when there is none.
 */
extern char *RegistryFindProject(const char *view, const Reference *reference);

/* Raise 42501 unless the current user has the rights of an entry's owner. */
extern void RegistryCheckOwner(const char *what, const char *name, const char *owner);

/*
 * The owner that options give an entry, of whom the current user must be a member; else
 * the default, which may be NULL: the current user.
 */
extern char *RegistryOwner(const Jsonb *options, const char *otherwise);

/*
 * What every kind of entry has among its options: description (string), owner, tags
 * (object of strings).  valid lists further keys, NULL-terminated.  22023, whose hint
 * also lists arguments, the function's that are no options; NULL when there are none.
 */
extern void RegistryCheckOptions(const Jsonb *options, const char *const *valid,
								 const char *arguments);

/*
 * The options to keep: those there are, NULL for none, with changes, in which a JSON
 * null resets one, but for the keys that are kept elsewhere.
 */
extern Jsonb *EntryOptionsMerge(const Jsonb *options, const Jsonb *changes,
								const char *const *elsewhere);

/* options without the keys of a NULL-terminated list. */
extern Jsonb *RegistryWithout(const Jsonb *options, const char *const *keys);

/* A view version that uses an entity or a source. */
typedef struct RegistryUser
{
	char	   *kind;			/* "feature_view", … */
	Reference	reference;
} RegistryUser;

/*
 * Those that use it, in the order of their names, as a list of RegistryUser.  column
 * is "entities" or "source", of venice.feature_view.
 */
extern List *RegistryUsers(const char *column, const char *project, const char *name);

/*
 * "view@1, growth.view@2, 1 of others" of such a list, for a DETAIL: those that the
 * current user may not see are only counted.
 */
extern char *RegistryUserList(const List *users);

/*
 * Before an entity or a source is dropped: 2BP01 naming its users, or drop them with
 * force.  what is "entity" or "source".
 */
extern void RegistryDropUsers(const char *what, const char *column, const char *project,
							  const char *name, bool force);

/*
 * Drop an entry, and what uses it, by the function that people call, so that the
 * current user needs the rights for each of them.  kind is one of the definitions'.
 */
extern void RegistryDrop(const char *kind, const Reference *reference);

/*
 * The audit of one change: begin before it, end after it.  kind is one of
 * venice_internal.definition's; view_version 0 is all of them that have none.  An entry that
 * is not there on one side was made or dropped; nothing is written when nothing changed.
 */
typedef struct AuditChange
{
	const char *kind;
	const char *project;
	const char *name;
	int			view_version;
	char	   *owner;
	Jsonb	   *before;
} AuditChange;

extern void AuditBegin(AuditChange *change, const char *kind, const char *project,
					   const char *name, int view_version);
extern void AuditEnd(const AuditChange *change, const char *action);

#endif							/* VENICE_ENTRY_H */
