/*-------------------------------------------------------------------------
 *
 * reference.h
 *		How entries of the registry are named, and the schemas they get.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_REFERENCE_H
#define VENICE_REFERENCE_H

#include "nodes/pg_list.h"

/* "[project.]name[@view_version][:feature]", taken apart. */
typedef struct Reference
{
	char	   *project;		/* NULL: not given */
	char	   *name;
	int			view_version;	/* 0: not given */
	char	   *feature;		/* NULL: not given; "*": all of them */
} Reference;

/* Take a reference apart; 42602 for what is none.  Palloc'd in CurrentMemoryContext. */
extern void ReferenceParse(const char *text, Reference *reference);

/* The same in writing. */
extern char *ReferenceText(const Reference *reference);

/* Names of a hint: "a", "b". */
extern char *QuotedNames(const List *names);

/* The project in which names are looked for first: the setting venice.project. */
extern const char *CurrentProject(void);

/*
 * Raise 42602 unless a new entry may have the name: 1 to 48 bytes, without ".", "@",
 * ":", white space or quotes, not beginning with "_", and not ending like a schema of
 * a store's version or history.  what is "entity", "service", …
 */
extern void RegistryCheckName(const char *what, const char *name);

/*
 * The schema of a view version's store, or of a service (view_version 0): the name,
 * behind "<project>_" unless that is "default", and before "_at<n>" from version 2 on.
 * 42602 when that is too long, or has an ending that is reserved.
 */
extern char *RegistrySchemaName(const char *project, const char *name, int view_version);

#endif							/* VENICE_REFERENCE_H */
