/*-------------------------------------------------------------------------
 *
 * service.c
 *		Making, altering, moving and dropping services.
 *
 * A service's owner is the owner of its schema.  He is the one with whose rights
 * it is answered, so that he, not only who makes it, must be able to read what it
 * reads: a plan of it is made as him before anything is kept.
 *
 * Locks: RegistryLock; those of the DDL.
 * Must not know: how a service is answered.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/namespace.h"
#include "catalog/pg_database.h"
#include "catalog/pg_type.h"
#include "commands/dbcommands.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "catalog/store.h"
#include "common/compat.h"
#include "common/query.h"
#include "common/shmem.h"
#include "common/store_options.h"
#include "registry/entry.h"
#include "registry/service_definition.h"
#include "registry/service_functions.h"
#include "registry/service_plan.h"
#include "store/arguments.h"

PG_FUNCTION_INFO_V1(venice_create_service);
PG_FUNCTION_INFO_V1(venice_alter_service);
PG_FUNCTION_INFO_V1(venice_move_service);
PG_FUNCTION_INFO_V1(venice_drop_service);
PG_FUNCTION_INFO_V1(venice_log_service);

static const char *const owner_option[] = {"owner", NULL};

static void
check_options(const Jsonb *options)
{
	static const char *const valid[] = {
		"defaults", "full_names", "joins", "log_fraction", "model", "model_version", NULL
	};
	char	   *full_names;
	char	   *fraction;

	RegistryCheckOptions(options, valid, "features");
	(void) OptionString(options, "model");
	(void) OptionString(options, "model_version");
	full_names = OptionText(options, "full_names");
	if (full_names != NULL && strcmp(full_names, "true") != 0 && strcmp(full_names, "false") != 0)
		OptionRefuse(options, "full_names", "true or false");
	fraction = OptionText(options, "log_fraction");
	if (fraction != NULL)
	{
		char	   *end;
		double		value = strtod(fraction, &end);

		if (end == fraction || *end != '\0' || !(value >= 0 && value <= 1))
			OptionRefuse(options, "log_fraction", "a number from 0 to 1");
	}
}

/* The features argument; NIL for NULL. */
static List *
argument_features(FunctionCallInfo fcinfo, int number)
{
	return PG_ARGISNULL(number) ? NIL : TextArrayList(PG_GETARG_ARRAYTYPE_P(number));
}

/* Views and services of a project share one namespace. */
static void
check_name_is_free(const Reference *reference)
{
	QuerySession session;
	QueryArgs	args = {0};
	const char *kind = NULL;

	QueryBeginRegistry(&session);
	QueryArgText(&args, reference->project);
	QueryArgText(&args, reference->name);
	if (QueryRun("SELECT FROM venice.service WHERE project = $1::name AND service = $2::name",
				 &args) > 0)
		kind = "service";
	else if (QueryRun("SELECT FROM venice.feature_view "
					  "WHERE project = $1::name AND view_name = $2::name", &args) > 0)
		kind = "feature view";
	QueryEnd(&session);
	if (kind != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("%s \"%s\" already exists", kind, reference->name),
				 errhint("Feature views and services of a project share their names: choose another one.")));
}

static void
warn_of_deprecated(const Service *service)
{
	List	   *seen = NIL;
	ListCell   *cell;

	foreach(cell, service->features)
	{
		FeatureView *view = ((ServiceFeature *) lfirst(cell))->view;

		if (list_member_ptr(seen, view))
			continue;
		FeatureViewWarnDeprecated(view, psprintf("service \"%s\"", service->name));
		seen = lappend(seen, view);
	}
}

/* Raise what the owner may not read, or what cannot be computed. */
static void
check_plan(const Service *service, Oid owner)
{
	ServicePlanDrop(ServicePlanMake(service, owner));
}

/*
 * venice_create_service
 *		create_service(service, features, options).
 */
Datum
venice_create_service(PG_FUNCTION_ARGS)
{
	char	   *text = ArgumentText(fcinfo, 0, "service", true);
	Jsonb	   *options = ArgumentOptions(fcinfo, 2);
	Service    *service = palloc0(sizeof(Service));
	Reference	reference;
	AuditChange change;
	AclResult	acl;
	Oid			owner;

	FunctionRequireWritable(fcinfo);
	check_options(options);
	acl = object_aclcheck(DatabaseRelationId, MyDatabaseId, GetUserId(), ACL_CREATE);
	if (acl != ACLCHECK_OK)
		aclcheck_error(acl, OBJECT_DATABASE, get_database_name(MyDatabaseId));
	RegistryParseNew("service", text, &reference);
	RegistryLock(fcinfo);
	check_name_is_free(&reference);

	service->project = reference.project;
	service->name = reference.name;
	service->schema = RegistrySchemaName(reference.project, reference.name, 0);
	owner = get_role_oid(RegistryOwner(options, NULL), false);
	ServiceResolve(service, argument_features(fcinfo, 1), RegistryWithout(options, owner_option),
				   NULL, NULL);
	warn_of_deprecated(service);
	check_plan(service, owner);

	AuditBegin(&change, "service", service->project, service->name, 0);
	ServiceSchemaCreate(service, owner);
	service->schema_oid = get_namespace_oid(service->schema, false);
	ServiceWrite(service);
	AuditEnd(&change, "create");
	PG_RETURN_VOID();
}

/*
 * The service named by argument 0, under RegistryLock, whose owner the caller is a member
 * of.  One that he may not even see does not exist.
 */
static Service *
owned_service(FunctionCallInfo fcinfo, AuditChange *change, Oid *owner)
{
	char	   *text = ArgumentText(fcinfo, 0, "service", true);
	Service    *service = NULL;
	Reference	reference;
	char	   *project;

	FunctionRequireWritable(fcinfo);
	ReferenceParse(text, &reference);
	RegistryLock(fcinfo);
	project = reference.view_version != 0 || reference.feature != NULL ? NULL :
		RegistryFindProject("services", &reference);
	if (project != NULL)
		service = ServiceRead(project, reference.name);
	if (service == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("service \"%s\" does not exist", text),
				 errhint("SELECT project, name FROM venice.services lists the services that you may use.")));
	*owner = OidIsValid(service->schema_oid) ? SchemaOwner(service->schema_oid) : InvalidOid;
	RegistryCheckOwner("service", service->name,
					   OidIsValid(*owner) ? GetUserNameFromId(*owner, false) : NULL);
	AuditBegin(change, "service", service->project, service->name, 0);
	return service;
}

static void
check_has_schema(const Service *service, Oid owner)
{
	if (!OidIsValid(owner))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("schema \"%s\" of service \"%s\" is gone", service->schema, service->name),
				 errhint("Drop the service with venice.drop_service(%s), and make it again.",
						 quote_literal_cstr(service->name))));
}

/* Give a service's schema to a new owner, with its functions. */
static void
change_owner(const Service *service, const char *owner)
{
	QuerySession session;
	uint64		rows;
	QueryArgs	args = {0};

	QueryBeginRegistry(&session);
	QueryRunf("ALTER SCHEMA %s OWNER TO %s", quote_identifier(service->schema),
			  quote_identifier(owner));
	QueryArgText(&args, service->schema);
	rows = QueryRunLatest("SELECT p.oid::pg_catalog.regprocedure::text FROM pg_catalog.pg_proc p "
						  "JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace "
						  "WHERE n.nspname = $1::name AND p.proname IN ('get', 'batch_get')", &args);
	for (uint64 i = 0; i < rows; i++)
	{
		SPITupleTable *table = SPI_tuptable;

		QueryRunf("ALTER FUNCTION %s OWNER TO %s", QueryText(i, 1, CurrentMemoryContext),
				  quote_identifier(owner));
		SPI_tuptable = table;
	}
	QueryEnd(&session);
}

/* Put another definition in the place of a service's, and tell. */
static void
replace_service(const Service *service, Service *next, List *texts, const Jsonb *options,
				FeatureView *moved, Oid owner, AuditChange *change, const char *action)
{
	next->project = service->project;
	next->name = service->name;
	next->schema = service->schema;
	next->schema_oid = service->schema_oid;
	ServiceResolve(next, texts != NIL ? texts : service->features_text, options, service, moved);
	warn_of_deprecated(next);
	check_plan(next, owner);
	ServiceFunctionsRenew(next);
	ServiceWrite(next);
	AuditEnd(change, action);
}

/*
 * venice_alter_service
 *		alter_service(service, options, features).
 */
Datum
venice_alter_service(PG_FUNCTION_ARGS)
{
	AuditChange change;
	Oid			owner;
	Service    *service = owned_service(fcinfo, &change, &owner);
	Jsonb	   *options = ArgumentOptions(fcinfo, 1);
	Service    *next = palloc0(sizeof(Service));

	check_options(options);
	check_has_schema(service, owner);
	if (OptionText(options, "owner") != NULL)
	{
		char	   *name = RegistryOwner(options, NULL);

		change_owner(service, name);
		owner = get_role_oid(name, false);
	}
	replace_service(service, next, argument_features(fcinfo, 2),
					StoreOptionsMerge(service->options, RegistryWithout(options, owner_option)),
					NULL, owner, &change, "alter");
	PG_RETURN_VOID();
}

/*
 * venice_move_service
 *		move_service(service, view).
 */
Datum
venice_move_service(PG_FUNCTION_ARGS)
{
	AuditChange change;
	Oid			owner;
	Service    *service = owned_service(fcinfo, &change, &owner);
	char	   *text = ArgumentText(fcinfo, 1, "view", true);
	Service    *next = palloc0(sizeof(Service));
	Reference	reference;
	FeatureView *view;
	bool		used = false;
	ListCell   *cell;

	check_has_schema(service, owner);
	ReferenceParse(text, &reference);
	if (reference.feature != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("\"%s\" is a feature", text),
				 errhint("A service is moved to another version of a view: view@2.")));
	view = FeatureViewLookup(&reference, false);
	foreach(cell, service->features)
	{
		const FeatureView *other = ((ServiceFeature *) lfirst(cell))->view;

		used |= strcmp(other->name, view->name) == 0 && strcmp(other->project, view->project) == 0;
	}
	if (!used)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("service \"%s\" does not use feature view \"%s\"", service->name, view->name),
				 errhint("Add its features with venice.alter_service(%s, features => ...).",
						 quote_literal_cstr(service->name))));
	replace_service(service, next, NIL, service->options, view, owner, &change, "move");
	PG_RETURN_VOID();
}

/*
 * venice_drop_service
 *		drop_service(service, force).
 */
Datum
venice_drop_service(PG_FUNCTION_ARGS)
{
	AuditChange change;
	Oid			owner;
	Service    *service = owned_service(fcinfo, &change, &owner);
	bool		force = !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	QuerySession session;
	QueryArgs	args = {0};

	ServiceSchemaDrop(service, force);
	QueryBeginRegistry(&session);
	QueryArgText(&args, service->project);
	QueryArgText(&args, service->name);
	(void) QueryRun("DELETE FROM venice.service_feature "
					"WHERE project = $1::name AND service = $2::name", &args);
	(void) QueryRun("DELETE FROM venice.service_schema "
					"WHERE project = $1::name AND service = $2::name", &args);
	(void) QueryRun("DELETE FROM venice.service WHERE project = $1::name AND service = $2::name",
					&args);
	QueryEnd(&session);
	AuditEnd(&change, "drop");
	PG_RETURN_VOID();
}

/*
 * venice_log_service
 *		log_service(service, fraction): which share of its answers to log.
 */
Datum
venice_log_service(PG_FUNCTION_ARGS)
{
	AuditChange change;
	Oid			owner;
	Service    *service = owned_service(fcinfo, &change, &owner);
	Jsonb	   *options;
	double		fraction;

	if (PG_ARGISNULL(1))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("fraction must not be null"),
				 errhint("With 0 nothing is logged.")));
	fraction = PG_GETARG_FLOAT8(1);
	if (!(fraction >= 0 && fraction <= 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("fraction must be between 0 and 1")));
	if (fraction > 0)
		WorkersRequire("logging what a service answers");
	options = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
												 CStringGetDatum(fraction == 0 ?
																 "{\"log_fraction\": null}" :
																 psprintf("{\"log_fraction\": %.17g}",
																		  fraction))));
	service->options = StoreOptionsMerge(service->options, options);
	ServiceWrite(service);
	AuditEnd(&change, "alter");
	PG_RETURN_VOID();
}
