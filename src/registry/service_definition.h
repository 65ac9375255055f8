/*-------------------------------------------------------------------------
 *
 * service_definition.h
 *		What a service consists of.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_SERVICE_DEFINITION_H
#define VENICE_SERVICE_DEFINITION_H

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

#include "registry/reference.h"
#include "registry/view.h"

/* An argument of a service's functions: a key, or what is known only when it is called. */
typedef struct ServiceArgument
{
	char	   *name;
	char	   *type_name;		/* without modifiers */
	bool		is_request;
} ServiceArgument;

typedef struct ServiceFeature
{
	char	   *output_name;
	char	   *type_name;		/* pinned: with modifiers, qualified where needed */
	FeatureView *view;
	ViewFeature *feature;
	char	   *alias;
	List	   *arguments;		/* of char *: for each of the view's keys */
	char	   *default_value;	/* as text of its type, or NULL */
} ServiceFeature;

typedef struct Service
{
	char	   *project;
	char	   *name;
	char	   *schema;
	Oid			schema_oid;		/* invalid: there is none, or it is gone */
	List	   *features_text;	/* of char *, with projects and view versions but for aliases */
	Jsonb	   *options;		/* but the owner */
	List	   *arguments;		/* of ServiceArgument */
	List	   *features;		/* of ServiceFeature */
	bool		offline;		/* asked of the past: columns of the spine for arguments */
} Service;

/*
 * Fill in features and arguments from texts (of char *) and options, with the types
 * that the features have now; features_text and the joins in options are made definite.
 * Views are looked up for the current user; a view version is, where none is given,
 * that of current, if it uses the view, else the newest.  moved, if not NULL, takes the
 * place of every other version of that view.  Where service->offline is set, labels are
 * features too, no view needs to be online, and there are no arguments to fill in: those
 * of the features are columns of the spine, of whatever types they are.
 */
extern void ServiceResolve(Service *service, List *texts, const Jsonb *options,
						   const Service *current, FeatureView *moved);

/*
 * A service as it was made, from the tables, whoever may see it; NULL when there is none.
 * It is palloc'd in CurrentMemoryContext.
 */
extern Service *ServiceRead(const char *project, const char *name);

/*
 * "<project>.<name>" of the service that "[project.]name" means, or the service itself, if
 * the current user may see it; NULL when the text names none.
 */
extern char *ServiceNamed(const char *text);
extern Service *ServiceReadNamed(const char *text);

/* Write one into the tables, in the place of what is there. */
extern void ServiceWrite(const Service *service);

/* "<project>.<name>" */
extern char *ServiceQualifiedName(const Service *service);

#endif							/* VENICE_SERVICE_DEFINITION_H */
