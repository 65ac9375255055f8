/*-------------------------------------------------------------------------
 *
 * audit.h
 *		The history of what was changed, by whom.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_AUDIT_H
#define VENICE_AUDIT_H

#include "utils/jsonb.h"

/*
 * Note that the current user has done something ("create", "alter", …) to an object.
 * project is NULL for what is in none.  owner, a role's name, is whose members may
 * read it.  before is NULL for what was made, after for what is gone.
 */
extern void AuditWrite(const char *action, const char *kind, const char *project,
					   const char *name, const char *owner, const Jsonb *before,
					   const Jsonb *after);

#endif							/* VENICE_AUDIT_H */
