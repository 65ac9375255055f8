/*-------------------------------------------------------------------------
 *
 * discovery.c
 *		What there is in the registry, what it is, and what depends on what:
 *		search, describe, lineage, export.
 *
 * Each function here is one statement of discovery.sql, run as the extension's
 * owner for the current user, who is its first parameter: sets of what he may
 * see are joined, which a view for people, asked row by row, could not be when
 * there are ten thousands of them.
 *
 * Locks: none.
 * Must not know: how an entry is made or changed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "registry/discovery.h"

#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"

#include "common/compat.h"
#include "common/query.h"
#include "registry/entry.h"
#include "store/arguments.h"

PG_FUNCTION_INFO_V1(venice_search);
PG_FUNCTION_INFO_V1(venice_describe);
PG_FUNCTION_INFO_V1(venice_lineage);
PG_FUNCTION_INFO_V1(venice_upstream);
PG_FUNCTION_INFO_V1(venice_downstream);
PG_FUNCTION_INFO_V1(venice_lineage_dot);
PG_FUNCTION_INFO_V1(venice_export);

/* What a name may mean: an entry, an object outside of the registry, or a column of one. */
typedef struct Named
{
	const char *text;
	Reference	reference;		/* its name is NULL: none of an entry */
	char	   *object;
	char	   *column_of;
	char	   *column;
} Named;

/* As extension's owner now: whoever called, as a parameter. */
static void
arg_caller(QueryArgs *args, const QuerySession *session)
{
	QueryArgDatum(args, OIDOID, ObjectIdGetDatum(session->user.saved_user), false);
}

/* The rows of one statement are those of the calling function. */
static void
return_rows(FunctionCallInfo fcinfo)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;

	for (uint64 row = 0; row < SPI_processed; row++)
		tuplestore_puttuple(result->setResult, SPI_tuptable->vals[row]);
}

void
RegistryPinFormats(void)
{
	(void) set_config_option("intervalstyle", "postgres", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	(void) set_config_option("datestyle", "ISO, YMD", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

static void
check_kind(const char *kind)
{
	static const char *const kinds[] = {"project", "entity", "source", "feature_view", "label_view",
	"on_demand_view", "feature", "service", "store"};

	for (int i = 0; i < lengthof(kinds); i++)
		if (strcmp(kind, kinds[i]) == 0)
			return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("there is no kind of entry \"%s\"", kind),
			 errhint("It is one of project, entity, source, feature_view, label_view, on_demand_view, feature, service, store.")));
}

/*
 * How pg_trgm's similarity is called here, quoted; NULL where it is not installed.  It
 * is looked for among what the extension consists of, and in its library: nothing that
 * somebody calls like it will do.
 */
static char *
trigram_function(MemoryContext context)
{
	if (QueryRead("SELECT pg_catalog.format('%I.similarity', n.nspname) "
				  "FROM pg_catalog.pg_extension e "
				  "JOIN pg_catalog.pg_depend d ON d.refclassid = 'pg_catalog.pg_extension'::regclass "
				  "AND d.refobjid = e.oid AND d.classid = 'pg_catalog.pg_proc'::regclass AND d.deptype = 'e' "
				  "JOIN pg_catalog.pg_proc p ON p.oid = d.objid "
				  "JOIN pg_catalog.pg_language l ON l.oid = p.prolang "
				  "JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace "
				  "WHERE e.extname = 'pg_trgm' AND p.proname = 'similarity' AND l.lanname = 'c' "
				  "AND p.probin = '$libdir/pg_trgm' AND p.proargtypes = '25 25' "
				  "AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') "
				  "AND pg_catalog.has_function_privilege(p.oid, 'EXECUTE')", NULL) == 0)
		return NULL;
	return QueryText(0, 1, context);
}

static uint64
search(const QuerySession *session, const char *tsquery, const char *kind,
	   const NullableDatum *max_rows, const char *exact)
{
	QueryArgs	args = {0};

	arg_caller(&args, session);
	QueryArgText(&args, tsquery);
	QueryArgText(&args, kind);
	QueryArgDatum(&args, INT4OID, max_rows->value, max_rows->isnull);
	QueryArgText(&args, exact);
	return QueryRead("SELECT kind, name, project, owner, description, rank "
					 "FROM venice_internal.search_entries($1, $2::tsquery, $3, $4, $5)", &args);
}

/*
 * venice_search
 *		search(query, of_kind, max_rows): every word of the query begins a word of what
 *		is found.  Where nothing is, and pg_trgm can tell what is like them, words of
 *		names that are like those of the query count too.
 */
Datum
venice_search(PG_FUNCTION_ARGS)
{
	char	   *query = ArgumentText(fcinfo, 0, "query", false);
	char	   *kind = ArgumentText(fcinfo, 1, "of_kind", false);
	QuerySession session;
	QueryArgs	args = {0};
	char	   *tsquery;
	char	   *words;
	char	   *similarity;

	if (kind != NULL)
		check_kind(kind);
	InitMaterializedSRF(fcinfo, 0);
	QueryBeginRegistry(&session);
	QueryArgText(&args, query);
	(void) QueryRead("SELECT pg_catalog.string_agg(pg_catalog.quote_literal(word) || ':*', ' & '), "
					 "pg_catalog.array_agg(word) "
					 "FROM pg_catalog.regexp_split_to_table(pg_catalog.lower($1), '[^[:alnum:]]+') AS word "
					 "WHERE word <> ''", &args);
	tsquery = QueryText(0, 1, session.result_context);
	words = QueryText(0, 2, session.result_context);
	if (search(&session, tsquery, kind, &fcinfo->args[2], query) == 0 && words != NULL &&
		(similarity = trigram_function(session.result_context)) != NULL)
	{
		memset(&args, 0, sizeof(args));
		QueryArgText(&args, words);
		(void) QueryRead(psprintf("SELECT pg_catalog.string_agg('(' || pg_catalog.quote_literal(w.word) || ':*' || "
								  "COALESCE(l.others, '') || ')', ' & ') "
								  "FROM pg_catalog.unnest($1::text[]) AS w (word) "
								  "CROSS JOIN LATERAL (SELECT pg_catalog.string_agg(' | ' || pg_catalog.quote_literal(c.candidate), '') AS others "
								  "FROM (SELECT candidate FROM venice_internal.words_like(w.word) "
								  "WHERE %s(candidate, w.word) >= 0.3 "
								  "ORDER BY %s(candidate, w.word) DESC, candidate LIMIT 5) AS c) AS l",
								  similarity, similarity), &args);
		(void) search(&session, QueryText(0, 1, session.result_context), kind, &fcinfo->args[2], query);
	}
	return_rows(fcinfo);
	QueryEnd(&session);
	return (Datum) 0;
}

/* The relation of a dotted name, by the caller's search_path, as it reads in full; NULL for none. */
static char *
relation_text(List *names)
{
	RangeVar   *name;
	Oid			relation;

	if (list_length(names) > 2)
		return NULL;
	name = makeRangeVar(list_length(names) == 2 ? linitial(names) : NULL, llast(names), -1);
	relation = RangeVarGetRelid(name, NoLock, true);
	if (!OidIsValid(relation))
		return NULL;
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)),
									  get_rel_name(relation));
}

static void
parse_name(const char *text, Named *named)
{
	const char *end = text + strcspn(text, ":@");
	const char *dot = strchr(text, '.');
	const char *last_dot = strrchr(text, '.');
	List	   *names;

	memset(named, 0, sizeof(Named));
	named->text = text;
	/* More dots, or quotes, are in names outside of the registry only. */
	if (strchr(text, '"') == NULL && (dot == NULL || dot > end || memchr(dot + 1, '.', end - dot - 1) == NULL))
		ReferenceParse(text, &named->reference);
	named->object = pstrdup(text);
	if (last_dot != NULL)
	{
		named->column_of = pnstrdup(text, last_dot - text);
		named->column = pstrdup(last_dot + 1);
	}
	if (SplitIdentifierString(pstrdup(text), '.', &names) && names != NIL)
	{
		char	   *relation = relation_text(names);

		if (relation != NULL)
			named->object = relation;
		if (list_length(names) > 1)
		{
			named->column = llast(names);
			relation = relation_text(list_truncate(list_copy(names), list_length(names) - 1));
			if (relation != NULL)
				named->column_of = relation;
		}
	}
}

pg_noreturn static void
refuse_name(const char *text)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("there is nothing called \"%s\" in the registry", text),
			 errhint("SELECT * FROM venice.search(%s) looks for names that begin like it.",
					 quote_literal_cstr(text))));
	pg_unreachable();
}

static void
arg_reference(QueryArgs *args, const Reference *reference)
{
	QueryArgText(args, CurrentProject());
	QueryArgText(args, reference->project);
	QueryArgText(args, reference->name);
	QueryArgInt4(args, reference->view_version);
	QueryArgText(args, reference->feature);
}

/*
 * venice_describe
 *		describe(name): 42704 when there is nothing of that name.
 */
Datum
venice_describe(PG_FUNCTION_ARGS)
{
	char	   *text = ArgumentText(fcinfo, 0, "name", true);
	Reference	reference;
	QuerySession session;
	QueryArgs	args = {0};

	ReferenceParse(text, &reference);
	InitMaterializedSRF(fcinfo, 0);
	QueryBeginRegistry(&session);
	arg_caller(&args, &session);
	arg_reference(&args, &reference);
	if (QueryRead("SELECT property, value FROM venice_internal.describe($1, $2::name, $3::name, $4::name, $5, $6::name)",
				  &args) == 0)
		refuse_name(text);
	return_rows(fcinfo);
	QueryEnd(&session);
	return (Datum) 0;
}

/*
 * venice_lineage
 *		venice_internal.lineage(): for the view.
 */
Datum
venice_lineage(PG_FUNCTION_ARGS)
{
	QuerySession session;
	QueryArgs	args = {0};

	InitMaterializedSRF(fcinfo, 0);
	QueryBeginRegistry(&session);
	arg_caller(&args, &session);
	(void) QueryRead("SELECT from_kind, from_name, to_kind, to_name, via FROM venice_internal.lineage($1)", &args);
	return_rows(fcinfo);
	QueryEnd(&session);
	return (Datum) 0;
}

#define REACHED(direction) \
	"venice_internal.lineage_from($1, " direction ", $2::name, $3::name, $4::name, $5, $6::name, $7, $8, $9::name)"

/*
 * Run one statement over REACHED with a name: as that of an entry, and where it returns
 * nothing as that of something outside of the registry.
 */
static void
query_lineage(const QuerySession *session, const char *sql, const Named *named)
{
	for (int outside = named->reference.name == NULL ? 1 : 0; outside <= 1; outside++)
	{
		QueryArgs	args = {0};

		arg_caller(&args, session);
		arg_reference(&args, &named->reference);
		QueryArgText(&args, outside ? named->object : NULL);
		QueryArgText(&args, outside ? named->column_of : NULL);
		QueryArgText(&args, outside ? named->column : NULL);
		if (QueryRead(sql, &args) > 0)
			return;
	}
	refuse_name(named->text);
}

static Datum
reached(FunctionCallInfo fcinfo, const char *sql)
{
	char	   *text = ArgumentText(fcinfo, 0, "of_name", true);
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	QuerySession session;
	Named		named;

	parse_name(text, &named);
	InitMaterializedSRF(fcinfo, 0);
	QueryBeginRegistry(&session);
	query_lineage(&session, sql, &named);
	/* What was named is among the rows, so that they tell whether there is any such thing. */
	for (uint64 row = 0; row < SPI_processed; row++)
		if (QueryInt4(row, 1, 0) > 0)
			tuplestore_puttuple(result->setResult, SPI_tuptable->vals[row]);
	QueryEnd(&session);
	return (Datum) 0;
}

#define NEAREST(direction) \
	"SELECT depth, kind, name, via FROM (" \
	"SELECT DISTINCT ON (kind, name) depth, kind, name, via FROM " REACHED(direction) \
	" AS reached ORDER BY kind, name, depth, via) AS nearest ORDER BY depth, kind, name"

Datum
venice_upstream(PG_FUNCTION_ARGS)
{
	return reached(fcinfo, NEAREST("true"));
}

Datum
venice_downstream(PG_FUNCTION_ARGS)
{
	return reached(fcinfo, NEAREST("false"));
}

/* Edges to one text; a node without any is an edge that has no beginning. */
#define DOT(edges) \
	"WITH edge AS MATERIALIZED (" edges "), node AS (" \
	"SELECT from_kind AS kind, from_name AS name FROM edge WHERE from_kind IS NOT NULL " \
	"UNION SELECT to_kind, to_name FROM edge) " \
	"SELECT E'digraph lineage {\\n  rankdir=LR;\\n' || pg_catalog.string_agg(line, '' ORDER BY place, line) || '}' " \
	"FROM (SELECT 1 AS place, pg_catalog.format(E'  \"%s %s\" [label=\"%s\\\\n%s\", shape=%s];\\n', " \
	"kind, pg_catalog.replace(pg_catalog.replace(name, '\\', '\\\\'), '\"', '\\\"'), " \
	"kind, pg_catalog.replace(pg_catalog.replace(name, '\\', '\\\\'), '\"', '\\\"'), " \
	"CASE WHEN kind IN ('feature', 'column') THEN 'ellipse' WHEN kind = 'model' THEN 'diamond' " \
	"WHEN kind IN ('store', 'relation', 'topic') THEN 'cylinder' ELSE 'box' END) AS line FROM node " \
	"UNION ALL SELECT DISTINCT 2, pg_catalog.format(E'  \"%s %s\" -> \"%s %s\";\\n', " \
	"from_kind, pg_catalog.replace(pg_catalog.replace(from_name, '\\', '\\\\'), '\"', '\\\"'), " \
	"to_kind, pg_catalog.replace(pg_catalog.replace(to_name, '\\', '\\\\'), '\"', '\\\"')) " \
	"FROM edge WHERE from_kind IS NOT NULL) AS lines "

/*
 * venice_lineage_dot
 *		lineage_dot(name): NULL is everything.
 */
Datum
venice_lineage_dot(PG_FUNCTION_ARGS)
{
	char	   *text = ArgumentText(fcinfo, 0, "name", false);
	QuerySession session;
	Named		named;
	char	   *dot;

	if (text != NULL)
		parse_name(text, &named);
	QueryBeginRegistry(&session);
	if (text != NULL)
		query_lineage(&session, DOT("SELECT name AS from_name, kind AS from_kind, near_name AS to_name, near_kind AS to_kind "
						  "FROM " REACHED("true") " AS up WHERE near_kind IS NOT NULL "
						  "UNION ALL SELECT near_name, near_kind, name, kind "
						  "FROM " REACHED("false") " AS down") "HAVING pg_catalog.count(*) > 0", &named);
	else
	{
		QueryArgs	args = {0};

		arg_caller(&args, &session);
		(void) QueryRead(DOT("SELECT from_name, from_kind, to_name, to_kind FROM venice_internal.lineage($1)"), &args);
	}
	dot = QueryText(0, 1, session.result_context);
	QueryEnd(&session);
	PG_RETURN_TEXT_P(cstring_to_text(dot != NULL ? dot : "digraph lineage {\n}"));
}

/*
 * venice_export
 *		export(project): NULL is everything that the current user may see.
 */
Datum
venice_export(PG_FUNCTION_ARGS)
{
	char	   *project = ArgumentText(fcinfo, 0, "project", false);
	QuerySession session;
	QueryArgs	args = {0};
	MemoryContext old;
	Jsonb	   *definition;
	bool		is_null;

	if (project != NULL)
		RegistryCheckProject(project);
	QueryBeginRegistry(&session);
	RegistryPinFormats();
	arg_caller(&args, &session);
	QueryArgText(&args, project);
	(void) QueryRead("SELECT venice_internal.export($1, $2::name)", &args);
	old = MemoryContextSwitchTo(session.result_context);
	definition = DatumGetJsonbPCopy(QueryDatum(0, 1, &is_null));
	MemoryContextSwitchTo(old);
	QueryEnd(&session);
	PG_RETURN_JSONB_P(definition);
}
