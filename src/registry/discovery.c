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
#include "common/hashfn.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "nodes/makefuncs.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/varlena.h"

#include "common/compat.h"
#include "common/json_input.h"
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
	"on_demand_view", "feature", "service", "store", "training_set"};

	for (int i = 0; i < lengthof(kinds); i++)
		if (strcmp(kind, kinds[i]) == 0)
			return;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("there is no kind of entry \"%s\"", kind),
			 errhint("It is one of project, entity, source, feature_view, label_view, on_demand_view, feature, service, store, training_set.")));
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
		(void) QueryRead(psprintf("WITH other AS MATERIALIZED (SELECT candidate FROM venice_internal.words_like($1::text[])) "
								  "SELECT pg_catalog.string_agg('(' || pg_catalog.quote_literal(w.word) || ':*' || "
								  "COALESCE(l.others, '') || ')', ' & ') "
								  "FROM pg_catalog.unnest($1::text[]) AS w (word) "
								  "CROSS JOIN LATERAL (SELECT pg_catalog.string_agg(' | ' || pg_catalog.quote_literal(c.candidate), '') AS others "
								  "FROM (SELECT candidate FROM other "
								  "WHERE pg_catalog.starts_with(candidate, pg_catalog.left(w.word, 1)) AND %s(candidate, w.word) >= 0.3 "
								  "ORDER BY %s(candidate, w.word) DESC, candidate LIMIT 5) AS c) AS l",
								  similarity, similarity), &args);
		(void) search(&session, QueryText(0, 1, session.result_context), kind, &fcinfo->args[2],
					  query);
	}
	return_rows(fcinfo);
	QueryEnd(&session);
	return (Datum) 0;
}

/* A relation by its dotted name, in the caller's search_path, as it reads in full; or NULL. */
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
	return QualifiedName(relation);
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
	(void) QueryRead("SELECT from_kind, from_name, to_kind, to_name, via FROM venice_internal.visible_lineage($1)", &args);
	return_rows(fcinfo);
	QueryEnd(&session);
	return (Datum) 0;
}

typedef struct LineageNode
{
	char	   *kind;
	char	   *project;
	char	   *entry;
	int			number;
	char	   *part;
	char	   *object;
	char	   *name;			/* as people write it */
	int			depth;
	char	   *via;			/* how it was reached, or NULL */
} LineageNode;

typedef struct LineageEdge
{
	const LineageNode *from;
	const LineageNode *to;
} LineageEdge;

/* A walk along the lineage, from what was named as far as the caller may see. */
typedef struct LineageWalk
{
	QuerySession *session;
	bool		upwards;
	HTAB	   *known;			/* of KnownNode */
	List	   *neighbour_plans;	/* of LineagePlan */
	List	   *entry_plans;
	List	   *nodes;			/* of LineageNode, nearest first */
	List	   *edges;			/* of LineageEdge */
} LineageWalk;

/* Nodes are known by kind and name. */
typedef struct KnownNode
{
	char		key[2 * NAMEDATALEN];
	LineageNode	   *node;			/* NULL: the caller may not see it */
} KnownNode;

/* A plan in which only the branches for one kind of nodes, or class of entries, are left. */
typedef struct LineagePlan
{
	const char *kind;
	SPIPlanPtr	plan;
} LineagePlan;

/* The columns of a node from column number `first` on. */
static LineageNode *
read_node(uint64 row, int first, MemoryContext context)
{
	LineageNode	   *node = MemoryContextAllocZero(context, sizeof(LineageNode));

	node->kind = QueryText(row, first, context);
	node->project = QueryText(row, first + 1, context);
	node->entry = QueryText(row, first + 2, context);
	node->number = QueryInt4(row, first + 3, 0);
	node->part = QueryText(row, first + 4, context);
	node->object = QueryText(row, first + 5, context);
	node->name = QueryText(row, first + 6, context);
	return node;
}

#define NODE_COLUMNS(e, end) \
	e "." end "kind, " e "." end "project::text, " e "." end "entry::text, " e "." end "number, " \
	e "." end "part::text, " e "." end "object, venice_internal.node_name(" e "." end "kind, " \
	e "." end "project, " e "." end "entry, " e "." end "number, " e "." end "part, " e "." end "object)"

#define NEIGHBOURS(here, there) \
	"SELECT " NODE_COLUMNS("e", there) ", e.via, venice_internal.node_class(e." there "kind) " \
	"FROM (SELECT * FROM venice_internal.lineage_edge WHERE " here "kind = %s AND " here "project = $1::name " \
	"AND " here "entry = $2::name AND " here "number = $3 AND " here "part = $4::name AND " here "object = $5 " \
	"OFFSET 0) AS e"

static SPIPlanPtr
plan_for(LineageWalk *walk, List **plans, const char *sql, const char *kind)
{
	Oid			types[] = {TEXTOID, TEXTOID, INT4OID, TEXTOID, TEXTOID, OIDOID};
	LineagePlan *plan;
	ListCell   *cell;

	foreach(cell, *plans)
	{
		plan = lfirst(cell);
		if (strcmp(plan->kind, kind) == 0)
			return plan->plan;
	}
	plan = MemoryContextAlloc(walk->session->result_context, sizeof(LineagePlan));
	plan->kind = MemoryContextStrdup(walk->session->result_context, kind);
	/* Planned once: with values it would be planned five times before. */
	plan->plan = SPI_prepare_cursor(psprintf(sql, quote_literal_cstr(kind)), lengthof(types),
									types, CURSOR_OPT_GENERIC_PLAN);
	if (plan->plan == NULL)
		elog(ERROR, "could not prepare: %s", SPI_result_code_string(SPI_result));
	*plans = lappend(*plans, plan);
	return plan->plan;
}

static void
execute_for(const LineageWalk *walk, SPIPlanPtr plan, const LineageNode *node)
{
	Datum		values[] = {CStringGetTextDatum(node->project), CStringGetTextDatum(node->entry),
		Int32GetDatum(node->number), CStringGetTextDatum(node->part),
	CStringGetTextDatum(node->object), ObjectIdGetDatum(walk->session->user.saved_user)};
	int			code = SPI_execute_plan(plan, values, NULL, true, 0);

	if (code < 0)
		elog(ERROR, "could not look up the lineage: %s", SPI_result_code_string(code));
}

/* May the caller see the entry that the node is, or belongs to?  class NULL: there is none. */
static bool
is_visible(LineageWalk *walk, const LineageNode *node, const char *class)
{
	if (class == NULL)
		return true;
	execute_for(walk, plan_for(walk, &walk->entry_plans,
							   "SELECT FROM venice_internal.entries($6) WHERE class = %s "
							   "AND project = $1::name AND entry = $2::name AND number = $3", class),
				node);
	return SPI_processed > 0;
}

static void
add_edge(LineageWalk *walk, const LineageNode *near, const LineageNode *node)
{
	LineageEdge	   *edge = MemoryContextAlloc(walk->session->result_context, sizeof(LineageEdge));

	edge->from = walk->upwards ? node : near;
	edge->to = walk->upwards ? near : node;
	walk->edges = lappend(walk->edges, edge);
}

static void
add_node(LineageWalk *walk, LineageNode *near, LineageNode *node, const char *class)
{
	char		text[2 * NAMEDATALEN] = {0};
	KnownNode  *known;
	bool		found;

	/* Names may be longer than the key. */
	snprintf(text, sizeof(text), "%08x %s %s", DatumGetUInt32(hash_any((unsigned char *) node->name,
																		   strlen(node->name))),
			 node->kind, node->name);
	known = hash_search(walk->known, text, HASH_ENTER, &found);
	if (!found)
	{
		known->node = is_visible(walk, node, class) ? node : NULL;
		node->depth = near != NULL ? near->depth + 1 : 0;
		if (known->node != NULL)
			walk->nodes = lappend(walk->nodes, node);
	}
	if (near != NULL && known->node != NULL)
		add_edge(walk, near, known->node);
}

static void
add_neighbours(LineageWalk *walk, LineageNode *node)
{
	SPITupleTable *rows;
	uint64		count;

	execute_for(walk, plan_for(walk, &walk->neighbour_plans,
							   walk->upwards ? NEIGHBOURS("to_", "from_") :
							   NEIGHBOURS("from_", "to_"), node->kind), node);
	rows = SPI_tuptable;
	count = SPI_processed;
	for (uint64 row = 0; row < count; row++)
	{
		LineageNode *other;
		char	   *class;

		SPI_tuptable = rows;
		other = read_node(row, 1, walk->session->result_context);
		other->via = QueryText(row, 8, walk->session->result_context);
		class = QueryText(row, 9, walk->session->result_context);
		add_node(walk, node, other, class);
	}
	SPI_freetuptable(rows);
}

static bool
start_walk(LineageWalk *walk, QuerySession *session, const Named *named, bool outside)
{
	QueryArgs	args = {0};

	arg_caller(&args, session);
	arg_reference(&args, &named->reference);
	QueryArgText(&args, outside ? named->object : NULL);
	QueryArgText(&args, outside ? named->column_of : NULL);
	QueryArgText(&args, outside ? named->column : NULL);
	(void) QueryRead("SELECT " NODE_COLUMNS("n", "") " FROM venice_internal.lineage_nodes("
					 "$1, $2::name, $3::name, $4::name, $5, $6::name, $7, $8, $9::name) AS n", &args);
	for (uint64 row = 0, count = SPI_processed; row < count; row++)
		add_node(walk, NULL, read_node(row, 1, session->result_context), NULL);
	return walk->nodes != NIL;
}

/* Raises 42704 when there is nothing of the name. */
static LineageWalk *
walk_lineage(QuerySession *session, const Named *named, bool upwards)
{
	HASHCTL		control = {.keysize = 2 * NAMEDATALEN,.entrysize = sizeof(KnownNode)};
	MemoryContext old = MemoryContextSwitchTo(session->result_context);
	LineageWalk	   *walk = palloc0(sizeof(LineageWalk));

	control.hcxt = session->result_context;
	walk->session = session;
	walk->upwards = upwards;
	walk->known = hash_create("venice lineage", 256, &control,
							  HASH_ELEM | HASH_STRINGS | HASH_CONTEXT);
	if ((named->reference.name == NULL || !start_walk(walk, session, named, false)) &&
		!start_walk(walk, session, named, true))
		refuse_name(named->text);
	/* The list grows while it is walked. */
	for (int i = 0; i < list_length(walk->nodes); i++)
	{
		CHECK_FOR_INTERRUPTS();
		add_neighbours(walk, list_nth(walk->nodes, i));
	}
	MemoryContextSwitchTo(old);
	return walk;
}

static int
compare_nodes(const ListCell *a, const ListCell *b)
{
	const LineageNode *one = lfirst(a);
	const LineageNode *two = lfirst(b);
	int			order = one->depth - two->depth;

	if (order == 0)
		order = strcmp(one->kind, two->kind);
	return order != 0 ? order : strcmp(one->name, two->name);
}

static Datum
reached(FunctionCallInfo fcinfo, bool upwards)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	QuerySession session;
	Named		named;
	LineageWalk	   *walk;
	ListCell   *cell;

	parse_name(ArgumentText(fcinfo, 0, "of_name", true), &named);
	InitMaterializedSRF(fcinfo, 0);
	QueryBeginRegistry(&session);
	walk = walk_lineage(&session, &named, upwards);
	QueryEnd(&session);
	list_sort(walk->nodes, compare_nodes);
	foreach(cell, walk->nodes)
	{
		const LineageNode *node = lfirst(cell);
		Datum		values[4];
		bool		nulls[4] = {false};

		if (node->depth == 0)
			continue;
		values[0] = Int32GetDatum(node->depth);
		values[1] = CStringGetTextDatum(node->kind);
		values[2] = CStringGetTextDatum(node->name);
		values[3] = CStringGetTextDatum(node->via);
		tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
	}
	return (Datum) 0;
}

Datum
venice_upstream(PG_FUNCTION_ARGS)
{
	return reached(fcinfo, true);
}

Datum
venice_downstream(PG_FUNCTION_ARGS)
{
	return reached(fcinfo, false);
}

/* Text in double quotes, as Graphviz reads it; two texts are two lines of a label. */
static char *
dot_quoted(const char *kind, const char *separator, const char *name)
{
	StringInfoData text;

	initStringInfo(&text);
	appendStringInfo(&text, "\"%s%s", kind, separator);
	for (; *name != '\0'; name++)
	{
		if (*name == '"' || *name == '\\')
			appendStringInfoChar(&text, '\\');
		appendStringInfoChar(&text, *name);
	}
	appendStringInfoChar(&text, '"');
	return text.data;
}

static void
append_dot_node(StringInfo dot, const char *kind, const char *name)
{
	const char *shape = "box";

	if (strcmp(kind, "feature") == 0 || strcmp(kind, "column") == 0)
		shape = "ellipse";
	else if (strcmp(kind, "relation") == 0 || strcmp(kind, "topic") == 0 ||
			 strcmp(kind, "store") == 0)
		shape = "cylinder";
	appendStringInfo(dot, "  %s [label=%s, shape=%s];\n", dot_quoted(kind, " ", name),
					 dot_quoted(kind, "\\n", name), shape);
}

static void
append_dot_edge(StringInfo dot, const char *from_kind, const char *from_name,
				const char *to_kind, const char *to_name)
{
	appendStringInfo(dot, "  %s -> %s;\n", dot_quoted(from_kind, " ", from_name),
					 dot_quoted(to_kind, " ", to_name));
}

static void
append_dot_walk(StringInfo dot, LineageWalk *walk, int first_depth)
{
	ListCell   *cell;

	list_sort(walk->nodes, compare_nodes);
	foreach(cell, walk->nodes)
	{
		const LineageNode *node = lfirst(cell);

		if (node->depth >= first_depth)
			append_dot_node(dot, node->kind, node->name);
	}
	foreach(cell, walk->edges)
	{
		const LineageEdge *edge = lfirst(cell);

		append_dot_edge(dot, edge->from->kind, edge->from->name, edge->to->kind, edge->to->name);
	}
}

static void
append_dot_everything(StringInfo dot, const QuerySession *session)
{
	QueryArgs	args = {0};

	arg_caller(&args, session);
	(void) QueryRead("WITH edge AS MATERIALIZED (SELECT * FROM venice_internal.visible_lineage($1)) "
					 "SELECT from_kind, from_name FROM edge UNION SELECT to_kind, to_name FROM edge "
					 "ORDER BY 1, 2", &args);
	for (uint64 row = 0; row < SPI_processed; row++)
		append_dot_node(dot, QueryText(row, 1, session->result_context),
						QueryText(row, 2, session->result_context));
	(void) QueryRead("SELECT DISTINCT from_kind, from_name, to_kind, to_name "
					 "FROM venice_internal.visible_lineage($1) ORDER BY 1, 2, 3, 4", &args);
	for (uint64 row = 0; row < SPI_processed; row++)
		append_dot_edge(dot, QueryText(row, 1, session->result_context),
						QueryText(row, 2, session->result_context),
						QueryText(row, 3, session->result_context),
						QueryText(row, 4, session->result_context));
}

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
	StringInfoData dot;

	if (text != NULL)
		parse_name(text, &named);
	initStringInfo(&dot);
	appendStringInfoString(&dot, "digraph lineage {\n  rankdir=LR;\n");
	QueryBeginRegistry(&session);
	if (text == NULL)
		append_dot_everything(&dot, &session);
	else
	{
		append_dot_walk(&dot, walk_lineage(&session, &named, true), 0);
		append_dot_walk(&dot, walk_lineage(&session, &named, false), 1);
	}
	QueryEnd(&session);
	appendStringInfoString(&dot, "}\n");
	PG_RETURN_TEXT_P(cstring_to_text_with_len(dot.data, dot.len));
}

/* A definition under its full name where one is given, instead of that which it has. */
static void
push_definition(JsonbParseState **state, Jsonb *definition, const char *full_name)
{
	JsonbIterator *iterator = JsonbIteratorInit(&definition->root);
	JsonbIteratorToken token;
	JsonbValue	value;

	while ((token = JsonbIteratorNext(&iterator, &value, true)) != WJB_END_OBJECT)
		(void) pushJsonbValue(state, token, token == WJB_BEGIN_OBJECT ? NULL : &value);
	if (full_name != NULL)
	{
		JsonbPushString(state, WJB_KEY, "name");
		JsonbPushString(state, WJB_VALUE, full_name);
	}
	(void) pushJsonbValue(state, token, NULL);
}

/* A row of venice_internal.export. */
typedef struct ExportedEntry
{
	int			place;			/* of its section */
	uint64		row;
	const char *project;		/* NULL: the section is empty */
	const char *name;
	int			number;
	Jsonb	   *definition;
} ExportedEntry;

static int
compare_exported(const void *a, const void *b)
{
	const ExportedEntry *one = a;
	const ExportedEntry *two = b;
	int			order = one->place - two->place;

	if (order == 0)
		order = strcmp(one->project, two->project);
	if (order == 0)
		order = strcmp(one->name, two->name);
	return order != 0 ? order : one->number - two->number;
}

static ExportedEntry *
read_exported(uint64 count)
{
	ExportedEntry *entries = palloc0(sizeof(ExportedEntry) * count);

	for (uint64 row = 0; row < count; row++)
	{
		ExportedEntry *entry = &entries[row];
		bool		is_null;

		entry->row = row;
		entry->place = DatumGetInt32(QueryDatum(row, 1, &is_null));
		entry->definition = (Jsonb *) DatumGetPointer(QueryDatum(row, 6, &is_null));
		if (is_null)
			continue;
		entry->project = NameStr(*DatumGetName(QueryDatum(row, 3, &is_null)));
		entry->name = NameStr(*DatumGetName(QueryDatum(row, 4, &is_null)));
		entry->number = DatumGetInt32(QueryDatum(row, 5, &is_null));
		entry->definition = DatumGetJsonbP(PointerGetDatum(entry->definition));
	}
	qsort(entries, count, sizeof(ExportedEntry), compare_exported);
	return entries;
}

/*
 * The rows of venice_internal.export as one object.  Here, since ORDER BY and aggregates
 * would copy each definition four times.
 */
static JsonbValue *
collect_exported(const char *project)
{
	uint64		count = SPI_processed;
	const ExportedEntry *entries = read_exported(count);
	JsonbParseState *state = NULL;

	(void) pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	JsonbPushString(&state, WJB_KEY, "project");
	JsonbPushString(&state, WJB_VALUE, project);
	for (uint64 i = 0; i < count; i++)
	{
		const ExportedEntry *entry = &entries[i];

		if (i == 0 || entry->place != entry[-1].place)
		{
			JsonbPushString(&state, WJB_KEY, QueryText(entry->row, 2, CurrentMemoryContext));
			(void) pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
		}
		if (entry->project != NULL)
			push_definition(&state, entry->definition,
							entry->place == 1 || strcmp(entry->project, project) == 0 ? NULL :
							psprintf("%s.%s", entry->project, entry->name));
		if (i + 1 == count || entry->place != entry[1].place)
			(void) pushJsonbValue(&state, WJB_END_ARRAY, NULL);
	}
	return pushJsonbValue(&state, WJB_END_OBJECT, NULL);
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
	JsonbValue *definitions;
	Jsonb	   *result;

	if (project != NULL)
		RegistryCheckProject(project);
	QueryBeginRegistry(&session);
	RegistryPinFormats();
	arg_caller(&args, &session);
	QueryArgText(&args, project);
	(void) QueryRead("SELECT place, section, project, name, number, definition FROM venice_internal.export($1, $2::name)",
					 &args);
	definitions = collect_exported(project != NULL ? project : "default");
	MemoryContextSwitchTo(session.result_context);
	result = JsonbValueToJsonb(definitions);
	QueryEnd(&session);
	PG_RETURN_JSONB_P(result);
}
