/*-------------------------------------------------------------------------
 *
 * redirect.h
 *		Having what was said of one version's table said of another one's.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_REDIRECT_H
#define VENICE_REDIRECT_H

#include "nodes/nodes.h"

/*
 * Where a raw parse tree names the records of one version, with their schema, have it
 * name those of another.  Raises 42P16 where column aliases would then name other
 * columns; and, given the owner of what is parsed, 42501 where a constant would be
 * checked by a domain that is neither his nor a superuser's.
 */
extern void RecordsRedirect(Node *tree, Oid from, Oid to, Oid owner);

#endif							/* VENICE_REDIRECT_H */
