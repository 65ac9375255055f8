/*-------------------------------------------------------------------------
 *
 * derive.c
 *		What follows from the definition of a view.
 *
 * Whatever the source, its columns become the FROM clause of a select list: a
 * relation stands for itself; a topic's records, a store's values, the inputs of
 * an on-demand view are subselects that have columns of the right names and
 * types, and are never run.
 *
 * Locks: AccessShareLock on a relation; StoreLock, shared, on a store that is
 * only referred to, so that it is not dropped meanwhile.
 * Must not know: which views there are, and what they were before.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "registry/derive.h"

#include "access/relation.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "parser/parse_type.h"
#include "utils/acl.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "common/item_list.h"
#include "common/length_of_time.h"
#include "common/query.h"
#include "common/store_options.h"
#include "registry/entity.h"
#include "registry/entry.h"
#include "registry/expression.h"
#include "registry/past.h"
#include "registry/source.h"
#include "store/definition.h"

#define REQUEST_ALIAS "request"
#define DESCRIPTIONS_WANTED "an object of strings, by names of features"
#define TAGS_WANTED "an object of objects of strings, by names of features"

/* How a view reads its source. */
typedef struct Reading
{
	Oid			owner;
	const Source *source;
	const FeatureView *kept;	/* whose expressions stay, or NULL */
	char	   *from;			/* FROM clause of its features */
	List	   *columns;		/* of StoreColumn: a topic's, or a store's; NIL for a relation */
} Reading;

static bool
list_has(const List *names, const char *name)
{
	ListCell   *cell;

	foreach(cell, names)
		if (strcmp(lfirst(cell), name) == 0)
			return true;
	return false;
}

static JsonbValue *
option_object(const Jsonb *options, const char *key, JsonbValue *buffer, const char *wanted)
{
	JsonbValue *value = getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &options->root),
													 key, strlen(key), buffer);

	if (value == NULL || value->type == jbvNull)
		return NULL;
	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"", key, OptionText(options, key)),
				 errhint("It takes %s.", wanted)));
	return value;
}

/* Names of the keys of an object of options, which takes values of one kind. */
static List *
option_names(const Jsonb *options, const char *key, bool of_objects, const char *wanted)
{
	JsonbValue	buffer;
	JsonbValue *object = option_object(options, key, &buffer, wanted);
	JsonbIterator *iterator;
	JsonbValue	token;
	JsonbIteratorToken kind;
	List	   *names = NIL;

	if (object == NULL)
		return NIL;
	iterator = JsonbIteratorInit(object->val.binary.data);
	while ((kind = JsonbIteratorNext(&iterator, &token, true)) != WJB_DONE)
	{
		if (kind == WJB_KEY)
			names = lappend(names, pnstrdup(token.val.string.val, token.val.string.len));
		else if (kind == WJB_VALUE && (of_objects ? token.type != jbvBinary ||
									   !JsonContainerIsObject(token.val.binary.data) :
									   token.type != jbvString))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("invalid value for option \"%s\": \"%s\"", key, OptionText(options, key)),
					 errhint("It takes %s.", wanted)));
	}
	return names;
}

/* A member of an object of options as it stands there; NULL when there is none. */
static char *
option_member(const Jsonb *options, const char *key, const char *member)
{
	JsonbValue	buffer;
	JsonbValue *object = option_object(options, key, &buffer, "an object");
	Jsonb	   *json;

	if (object == NULL)
		return NULL;
	json = JsonbValueToJsonb(object);
	return OptionText(json, member);
}

static void
refuse_key_twice(const char *key)
{
	ereport(ERROR,
			(errcode(ERRCODE_DUPLICATE_COLUMN),
			 errmsg("key \"%s\" specified more than once", key),
			 errdetail("Keys of a view's entities have different names.")));
}

static void
add_entity(FeatureView *view, List **references, const Entity *entity)
{
	ListCell   *name;
	ListCell   *type;

	*references = lappend(*references, psprintf("%s.%s", entity->project, entity->name));
	forboth(name, entity->key_names, type, entity->key_types)
	{
		if (list_has(view->key_names, lfirst(name)))
			refuse_key_twice(lfirst(name));
		view->key_names = lappend(view->key_names, lfirst(name));
		view->key_types = lappend(view->key_types, lfirst(type));
	}
}

static void
derive_entities(FeatureView *view)
{
	List	   *references = NIL;
	ListCell   *cell;

	if (view->entities == NIL && view->online)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s \"%s\" has no entity", FeatureViewKind(view), view->name),
				 errhint("Name at least one, made with venice.create_entity: its keys are those of the features. What is the same for everybody can be offline only, with online => false.")));
	view->key_names = view->key_types = NIL;
	foreach(cell, view->entities)
		add_entity(view, &references, EntityLookup(lfirst(cell), false));
	view->entities = references;
}

static void
check_keys_option(const FeatureView *view)
{
	ListCell   *cell;

	foreach(cell, option_names(view->options, "keys", false,
							   "an object of strings: key to column of the source"))
		if (!list_has(view->key_names, lfirst(cell)))
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"keys\" names \"%s\", which is no key of the view",
							(char *) lfirst(cell)),
					 errhint("Its keys are %s.", QuotedNames(view->key_names))));
}

static bool
has_role(const FeatureView *view, const Source *source, const char *column)
{
	ListCell   *cell;

	if ((source->event_time != NULL && strcmp(column, source->event_time) == 0) ||
		(source->created_time != NULL && strcmp(column, source->created_time) == 0))
		return true;
	foreach(cell, view->key_names)
		if (strcmp(column, FeatureViewKeyColumn(view, lfirst(cell))) == 0)
			return true;
	return false;
}

static StoreColumn *
store_column(const char *name, const char *type, bool is_key)
{
	StoreColumn *column = palloc0(sizeof(StoreColumn));

	column->name = pstrdup(name);
	column->type_name = pstrdup(type);
	column->is_key = is_key;
	column->not_null = is_key;
	return column;
}

static List *
feature_columns(const List *features)
{
	List	   *columns = NIL;
	const ListCell *cell;

	foreach(cell, features)
	{
		const ViewFeature *feature = lfirst(cell);

		columns = lappend(columns, store_column(feature->name, feature->type_name, false));
	}
	return columns;
}

/* A subselect with columns of these names and types, which is there to be analysed. */
static char *
from_columns(const List *columns, const char *alias)
{
	StringInfoData list;
	const ListCell *cell;

	initStringInfo(&list);
	foreach(cell, columns)
	{
		const StoreColumn *column = lfirst(cell);

		appendStringInfo(&list, "%sNULL::%s AS %s", list.len > 0 ? ", " : "", column->type_name,
						 quote_identifier(column->name));
	}
	return psprintf("(SELECT %s) AS %s", list.data, quote_identifier(alias));
}

/* The owner reads the source when the view is filled: say now that he cannot. */
static void
check_readable(Oid relation, const char *column, Oid owner)
{
	AttrNumber	attribute = get_attnum(relation, column);

	if (pg_class_aclcheck(relation, owner, ACL_SELECT) != ACLCHECK_OK &&
		(attribute == InvalidAttrNumber ||
		 pg_attribute_aclcheck(relation, attribute, owner, ACL_SELECT) != ACLCHECK_OK))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied for column \"%s\" of relation \"%s\"", column,
						get_rel_name(relation)),
				 errdetail("The owner of a view reads its source: here role \"%s\".",
						   GetUserNameFromId(owner, false)),
				 errhint("Let it with GRANT SELECT ON %s TO %s.",
						 QualifiedName(relation),
						 quote_identifier(GetUserNameFromId(owner, false)))));
}

static void
read_relation(const FeatureView *view, Reading *reading)
{
	const Source *source = reading->source;
	Oid			relation = source->relation;
	const char *schema;
	ListCell   *key;
	ListCell   *type;

	forboth(key, view->key_names, type, view->key_types)
	{
		char	   *column = FeatureViewKeyColumn(view, lfirst(key));
		AttrNumber	attribute = get_attnum(relation, column);
		Oid			column_type = attribute > 0 ? get_atttype(relation, attribute) : InvalidOid;
		Oid			key_type;
		int32		typmod;

		if (!OidIsValid(column_type))
			ereport(ERROR,
					(errcode(ERRCODE_UNDEFINED_COLUMN),
					 errmsg("source \"%s\" has no column \"%s\"", source->name, column),
					 errdetail("It is to hold key \"%s\".", (char *) lfirst(key)),
					 errhint("Say which column does with the option \"keys\": {\"%s\": \"...\"}.",
							 (char *) lfirst(key))));
		parseTypeString(lfirst(type), &key_type, &typmod, false);
		if (!can_coerce_type(1, &column_type, &key_type, COERCION_IMPLICIT))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of source \"%s\" is of type %s, but key \"%s\" of type %s",
							column, source->name, format_type_be(column_type),
							(char *) lfirst(key), (char *) lfirst(type)),
				 errhint("Cast it in a view over \"%s\", and make that the source.",
						 get_rel_name(relation))));
		check_readable(relation, column, reading->owner);
	}
	if (source->event_time != NULL)
		check_readable(relation, source->event_time, reading->owner);
	schema = get_namespace_name(get_rel_namespace(relation));
	reading->from = psprintf("%s AS %s",
							 quote_qualified_identifier(schema, get_rel_name(relation)),
							 quote_identifier(source->name));
}

static void
read_topic(const FeatureView *view, Reading *reading)
{
	const Source *source = reading->source;

	if (source->columns == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("source \"%s\" does not say what its records hold", source->name),
				 errhint("Set its option columns, to a column list or an Avro schema, with venice.alter_source.")));
	reading->columns = SourceColumns(source);
	reading->from = from_columns(reading->columns, source->name);
}

static void
read_store(FeatureView *view, Reading *reading)
{
	const Source *source = reading->source;
	Store	   *store;
	ListCell   *cell;
	int			position = 0;
	Oid			records;

	StoreLock(source->store, ShareLock);
	store = StoreLookup(source->store, false);
	StoreCheckSchema(store);
	records = get_relname_relid("records", store->schema_oid);
	foreach(cell, store->columns)
	{
		const StoreColumn *column = lfirst(cell);

		check_readable(records, column->name, reading->owner);
		if (!column->is_key)
		{
			reading->columns = lappend(reading->columns, lfirst(cell));
			continue;
		}
		if (position >= list_length(view->key_names) ||
			strcmp(column->name,
				   FeatureViewKeyColumn(view, list_nth(view->key_names, position))) != 0 ||
			strcmp(column->type_name, list_nth(view->key_types, position)) != 0)
			break;
		position++;
	}
	if (position != list_length(view->key_names) || position != store->key_count)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("keys of store \"%s\" are not those of the view's entities", store->name),
				 errdetail("SELECT key_columns FROM venice.stores shows a store's keys."),
				 errhint("Name entities with the same keys in the same order; the option \"keys\" says which column of the store is which key.")));
	reading->from = from_columns(reading->columns, source->name);
	view->store = store->name;
	view->owns_store = false;
	view->event_time_column = source->event_time;
}

/* What NULL stands for: every column without a role. */
static char *
all_columns(const FeatureView *view, const Reading *reading)
{
	StringInfoData list;
	ListCell   *cell;

	initStringInfo(&list);
	foreach(cell, reading->columns)
	{
		const char *name = ((StoreColumn *) lfirst(cell))->name;

		if (!has_role(view, reading->source, name) && name[0] != '_')
			ItemListAppend(&list, "%s", quote_identifier(name));
	}
	if (OidIsValid(reading->source->relation))
	{
		Relation	relation = relation_open(reading->source->relation, AccessShareLock);
		TupleDesc	columns = RelationGetDescr(relation);

		for (int i = 0; i < columns->natts; i++)
		{
			const char *name = NameStr(TupleDescAttr(columns, i)->attname);

			if (!TupleDescAttr(columns, i)->attisdropped &&
				!has_role(view, reading->source, name))
				ItemListAppend(&list, "%s", quote_identifier(name));
		}
		relation_close(relation, NoLock);
	}
	if (list.len == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("source \"%s\" has no columns but keys and times", reading->source->name)));
	return list.data;
}

static ViewFeature *
add_feature(FeatureView *view, const Expression *expression)
{
	ViewFeature *feature = palloc0(sizeof(ViewFeature));

	if (list_has(view->key_names, expression->name))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_COLUMN),
				 errmsg("feature \"%s\" has the name of a key", expression->name),
				 errhint("Leave it out, or give it another name with AS.")));
	feature->name = expression->name;
	feature->type_name = expression->type_name;
	feature->expression = expression->text;
	view->features = lappend(view->features, feature);
	return feature;
}

/* Which columns of the source it reads, of which the owner must be able to. */
static void
derive_columns(ViewFeature *feature, const Expression *expression, const Reading *reading)
{
	ListCell   *cell;

	foreach(cell, expression->columns)
	{
		ExpressionColumn *column = lfirst(cell);

		feature->source_columns = lappend(feature->source_columns, column->name);
		if (OidIsValid(reading->source->relation))
			check_readable(reading->source->relation, column->name, reading->owner);
	}
}

static void
check_aggregations(const FeatureView *view, const Reading *reading)
{
	if (view->features_text != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("feature view \"%s\" has both features and aggregations", view->name),
				 errdetail("Each aggregation is a feature."),
				 errhint("Leave features out. What is to be as it was at a time goes into a view of its own.")));
	if (!OidIsValid(reading->source->relation))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("features cannot be aggregated from a %s",
						reading->source->topic != NULL ? "topic" : "store"),
				 errhint("Make a source over a relation that holds the events.")));
	if (reading->source->event_time == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("source \"%s\" has no event time, by which windows are told",
						reading->source->name),
				 errhint("Set event_time with venice.alter_source.")));
}

/* The features are aggregates of expressions, which are kept as those of other views. */
static void
derive_aggregations(FeatureView *view, const List *texts, const Reading *reading)
{
	const ListCell *cell;

	check_aggregations(view, reading);
	view->features = NIL;
	foreach(cell, texts)
	{
		AggregationText *text = lfirst(cell);
		int			position = foreach_current_index(cell);
		const char *column = reading->kept == NULL ? text->column :
			((ViewFeature *) list_nth(reading->kept->features, position))->expression;
		List	   *expressions = ExpressionsParse(psprintf("(%s\n) AS %s", column,
															quote_identifier(text->name)),
												   reading->from, reading->owner);
		Expression *expression = linitial(expressions);
		ViewFeature *feature;

		if (list_length(expressions) != 1)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("column of aggregation \"%s\" is more than one", text->name)));
		if (FeatureViewFeature(view, text->name, true) != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("feature \"%s\" specified more than once", text->name)));
		feature = add_feature(view, expression);
		feature->aggregation = &text->aggregation;
		feature->type_name = AggregationType(text, expression->type_name);
		feature->store_column = feature->name;
		derive_columns(feature, expression, reading);
	}
}

static void
derive_features(FeatureView *view, const Reading *reading)
{
	ListCell   *cell;

	if (view->features_text == NULL)
		view->features_text = all_columns(view, reading);
	view->features = NIL;
	foreach(cell, ExpressionsParse(view->features_text, reading->from, reading->owner))
	{
		Expression *expression = lfirst(cell);
		ViewFeature *feature = add_feature(view, expression);

		derive_columns(feature, expression, reading);
		if (!OidIsValid(reading->source->relation) && !expression->is_column)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("feature \"%s\" is computed from a %s", expression->name,
							reading->source->topic != NULL ? "topic" : "store"),
					 errdetail("Such a source's columns are kept as they are, under their names or others."),
					 errhint("Compute it in an on-demand view (venice.create_on_demand_view) over this one.")));
		feature->store_column = view->owns_store || view->store == NULL ? feature->name :
			linitial(feature->source_columns);
	}
}

/* Where a topic's records have a column: by the source's option fields, else under its name. */
static void
append_field(StringInfo fields, const Source *source, const char *column, const char *from)
{
	char	   *path = option_member(source->store_options, "fields", from);

	if (path == NULL)
		path = pstrdup(from);
	if (strcmp(path, column) == 0)
		return;
	appendStringInfoString(fields, fields->len > 0 ? ", " : "");
	escape_json(fields, column);
	appendStringInfoString(fields, ": ");
	escape_json(fields, path);
}

static Jsonb *
topic_store_options(const FeatureView *view, const Source *source)
{
	StringInfoData fields;
	ListCell   *cell;
	Jsonb	   *changes;
	const char *template = "{\"fields\": {%s}, \"version_topic\": %s}";
	StringInfoData topic;

	initStringInfo(&fields);
	foreach(cell, view->key_names)
		append_field(&fields, source, lfirst(cell), FeatureViewKeyColumn(view, lfirst(cell)));
	foreach(cell, view->features)
	{
		const ViewFeature *feature = lfirst(cell);

		append_field(&fields, source, feature->name, linitial(feature->source_columns));
	}
	if (source->event_time != NULL)
		append_field(&fields, source, EVENT_TIME_COLUMN, source->event_time);
	initStringInfo(&topic);
	escape_json(&topic, source->topic);
	changes = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
												 CStringGetDatum(psprintf(template, fields.data,
																		  topic.data))));
	return StoreOptionsMerge(source->store_options, changes);
}

/* What a store of the view's own is made of. */
static void
derive_store(FeatureView *view, const Reading *reading, StoreSpec *store)
{
	const Source *source = reading->source;
	ListCell   *cell;
	ListCell   *type;

	store->name = view->store;
	store->owner = reading->owner;
	forboth(cell, view->key_names, type, view->key_types)
		store->columns = lappend(store->columns, store_column(lfirst(cell), lfirst(type), true));
	foreach(cell, view->features)
	{
		const ViewFeature *feature = lfirst(cell);
		StoreColumn *column = store_column(feature->name, feature->type_name, false);
		ListCell   *declared;

		/* Of a topic's column also its default is meant, and that it may not be missing. */
		foreach(declared, reading->columns)
		{
			const StoreColumn *original = lfirst(declared);

			if (strcmp(original->name, linitial(feature->source_columns)) == 0)
			{
				column->not_null = original->not_null;
				column->default_expression = original->default_expression;
				column->source_type = original->source_type;
			}
		}
		store->columns = lappend(store->columns, column);
	}
	if (source->event_time != NULL)
	{
		store->columns = lappend(store->columns,
								 store_column(EVENT_TIME_COLUMN, "timestamp with time zone", false));
		view->event_time_column = EVENT_TIME_COLUMN;
	}
	if (source->topic != NULL)
	{
		store->server = source->server;
		store->value_schema = DefinitionIsAvro(source->columns) ? source->columns : NULL;
		store->options = topic_store_options(view, source);
	}
	else
		store->options = DatumGetJsonbP(DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")));
}

static void
derive_from_source(FeatureView *view, Reading *reading, StoreSpec *store)
{
	List	   *aggregations = AggregationsParse(view->options);

	reading->source = SourceLookup(view->source, false);
	view->source = psprintf("%s.%s", reading->source->project, reading->source->name);
	derive_entities(view);
	check_keys_option(view);
	if (reading->source->store != NULL)
		read_store(view, reading);
	else if (reading->source->topic != NULL)
		read_topic(view, reading);
	else if (OidIsValid(reading->source->relation))
		read_relation(view, reading);
	else
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("relation of source \"%s\" does not exist", reading->source->name),
				 errhint("Name another one with venice.alter_source.")));
	if (aggregations != NIL)
		derive_aggregations(view, aggregations, reading);
	else
		derive_features(view, reading);
	if (view->ttl != NULL && reading->source->event_time == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("source \"%s\" has no event time, from which a ttl counts",
						reading->source->name),
				 errhint("Leave ttl out, or set event_time with venice.alter_source.")));
	if (reading->source->store == NULL && view->online)
		derive_store(view, reading, store);
	else if (reading->source->store == NULL)
	{
		view->store = NULL;
		view->owns_store = false;
		view->event_time_column = NULL;
	}
}

/* Column lists of an on-demand view's subselects, and what their columns stand for. */
typedef struct Input
{
	FeatureView *view;
	List	   *features;		/* of ViewFeature, each once */
} Input;

static Input *
input_of(List **inputs, FeatureView *view)
{
	ListCell   *cell;
	Input	   *input;

	foreach(cell, *inputs)
	{
		input = lfirst(cell);
		if (strcmp(input->view->project, view->project) == 0 &&
			strcmp(input->view->name, view->name) == 0 &&
			input->view->view_version == view->view_version)
			return input;
		if (strcmp(input->view->name, view->name) == 0)
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_ALIAS),
					 errmsg("inputs \"%s\" and \"%s\" have the same name",
							FeatureViewReference(input->view), FeatureViewReference(view))));
	}
	input = palloc0(sizeof(Input));
	input->view = view;
	*inputs = lappend(*inputs, input);
	return input;
}

static void
add_input(const FeatureView *view, List **inputs, const char *text)
{
	Reference	reference;
	FeatureView *used;
	Input	   *input;

	ReferenceParse(text, &reference);
	used = FeatureViewLookup(&reference, false);
	if (strcmp(used->kind, "feature") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s \"%s\" cannot be an input", FeatureViewKind(used),
						FeatureViewShortName(used)),
				 errdetail("Inputs are features of feature views, which are stored.")));
	FeatureViewWarnDeprecated(used, psprintf("on-demand view \"%s\"", view->name));
	input = input_of(inputs, used);
	if (reference.feature == NULL || strcmp(reference.feature, "*") == 0)
		input->features = list_concat_unique_ptr(input->features, used->features);
	else
		input->features = list_append_unique_ptr(input->features,
												 FeatureViewFeature(input->view, reference.feature,
																	false));
}

static char *
input_reference(const Input *input, const char *feature)
{
	Reference	reference = {input->view->project, input->view->name, input->view->view_version,
		unconstify(char *, feature)};

	return ReferenceText(&reference);
}

static void
derive_request(FeatureView *view)
{
	StringInfoData list;
	ListCell   *cell;

	if (view->request == NULL)
		return;
	if (DefinitionIsAvro(view->request))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("request of on-demand view \"%s\" is no list of columns", view->name),
				 errhint("It takes names and types, such as 'distance float8'. Options are given as options => '{...}'.")));
	initStringInfo(&list);
	view->request_names = view->request_types = NIL;
	foreach(cell, DefinitionParse(view->request, false, "request"))
	{
		const StoreColumn *column = lfirst(cell);

		if (column->not_null || column->default_expression != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
					 errmsg("request column \"%s\" is NOT NULL or has a default", column->name),
					 errhint("Give names and types only, and treat NULL in the expressions.")));
		if (list_has(view->request_names, column->name) || list_has(view->key_names, column->name))
			ereport(ERROR,
					(errcode(ERRCODE_DUPLICATE_COLUMN),
					 errmsg("request column \"%s\" has the name of a key or of another one",
							column->name)));
		view->request_names = lappend(view->request_names, column->name);
		view->request_types = lappend(view->request_types, column->type_name);
		appendStringInfo(&list, "%s%s %s", list.len > 0 ? ", " : "",
						 quote_identifier(column->name), column->type_name);
	}
	view->request = list.data;
}

static char *
from_inputs(const FeatureView *view, const List *inputs)
{
	StringInfoData from;
	List	   *columns = NIL;
	const ListCell *cell;
	ListCell   *name;
	ListCell   *type;

	initStringInfo(&from);
	foreach(cell, inputs)
	{
		const Input *input = lfirst(cell);

		ItemListAppend(&from, "%s", from_columns(feature_columns(input->features), input->view->name));
	}
	forboth(name, view->request_names, type, view->request_types)
		columns = lappend(columns, store_column(lfirst(name), lfirst(type), false));
	if (columns != NIL)
		ItemListAppend(&from, "%s", from_columns(columns, REQUEST_ALIAS));
	return from.data;
}

/* What an expression reads of the inputs, as references. */
static List *
inputs_read(const Expression *expression, const List *inputs)
{
	List	   *references = NIL;
	ListCell   *cell;
	const ListCell *other;

	foreach(cell, expression->columns)
	{
		const ExpressionColumn *column = lfirst(cell);

		foreach(other, inputs)
		{
			const Input *input = lfirst(other);

			if (strcmp(input->view->name, column->relation) == 0)
				references = lappend(references, input_reference(input, column->name));
		}
	}
	return references;
}

static void
derive_from_inputs(FeatureView *view, const Reading *reading)
{
	List	   *inputs = NIL;
	List	   *entities = NIL;
	ListCell   *cell;
	ListCell   *other;

	foreach(cell, view->inputs)
		add_input(view, &inputs, lfirst(cell));
	view->inputs = view->entities = view->key_names = view->key_types = NIL;
	foreach(cell, inputs)
	{
		const Input *input = lfirst(cell);

		foreach(other, input->features)
			view->inputs = lappend(view->inputs,
								   input_reference(input, ((ViewFeature *) lfirst(other))->name));
		foreach(other, input->view->entities)
			if (!list_has(entities, lfirst(other)))
				entities = lappend(entities, lfirst(other));
	}
	view->entities = entities;
	foreach(cell, inputs)
	{
		const Input *input = lfirst(cell);
		ListCell   *type;

		forboth(other, input->view->key_names, type, input->view->key_types)
			if (!list_has(view->key_names, lfirst(other)))
			{
				view->key_names = lappend(view->key_names, lfirst(other));
				view->key_types = lappend(view->key_types, lfirst(type));
			}
	}
	derive_request(view);
	if (view->inputs == NIL && view->request == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("on-demand view \"%s\" has neither inputs nor request columns", view->name)));

	view->features = NIL;
	foreach(cell, ExpressionsParse(view->features_text, from_inputs(view, inputs), reading->owner))
		add_feature(view, lfirst(cell))->source_columns = inputs_read(lfirst(cell), inputs);
}

/* Conditions on the features, which are kept and shown. */
static void
check_expectation(const FeatureView *view, const char *condition, Oid owner)
{
	List	   *expressions = ExpressionsParse(psprintf("(%s\n) AS expectation", condition),
											   from_columns(feature_columns(view->features),
															view->name), owner);

	if (list_length(expressions) != 1 ||
		strcmp(((Expression *) linitial(expressions))->type_name, "boolean") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("expectation \"%s\" is no condition", condition),
				 errhint("It takes a boolean expression over the features, such as 'clicks >= 0'.")));
}

static void
check_expectations(const FeatureView *view, Oid owner)
{
	JsonbValue	buffer;
	JsonbValue *value = getKeyJsonValueFromContainer(&view->options->root, "expectations",
													 strlen("expectations"), &buffer);
	JsonbIterator *iterator;
	JsonbValue	token;
	JsonbIteratorToken kind;

	if (value == NULL || value->type == jbvNull)
		return;
	if (value->type == jbvBinary)
	{
		iterator = JsonbIteratorInit(value->val.binary.data);
		while ((kind = JsonbIteratorNext(&iterator, &token, true)) != WJB_DONE)
			if (kind == WJB_VALUE || kind == WJB_ELEM)
			{
				if (token.type != jbvString)
					break;
				check_expectation(view, pnstrdup(token.val.string.val, token.val.string.len),
								  owner);
			}
		if (kind == WJB_DONE)
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for option \"expectations\": \"%s\"",
					OptionText(view->options, "expectations")),
			 errhint("It takes an array, or an object, of conditions such as \"clicks >= 0\".")));
}

void
FeatureViewCheckOptions(const FeatureView *view, const Jsonb *given)
{
	List	   *names = list_concat(option_names(given, "feature_descriptions", false,
												 DESCRIPTIONS_WANTED),
									option_names(given, "feature_tags", true, TAGS_WANTED));
	ListCell   *cell;

	foreach(cell, names)
		(void) FeatureViewFeature(view, lfirst(cell), false);
}

/* What was said of a feature that is gone is forgotten. */
static void
forget_features(FeatureView *view, const char *option, bool of_objects, const char *wanted)
{
	ListCell   *cell;

	foreach(cell, option_names(view->options, option, of_objects, wanted))
	{
		Datum		path[] = {CStringGetTextDatum(option), CStringGetTextDatum(lfirst(cell))};
		ArrayType  *array;

		if (FeatureViewFeature(view, lfirst(cell), true) != NULL)
			continue;
		array = construct_array(path, 2, TEXTOID, -1, false, TYPALIGN_INT);
		view->options = DatumGetJsonbP(DirectFunctionCall2(jsonb_delete_path,
														   PointerGetDatum(view->options),
														   PointerGetDatum(array)));
	}
}

/* What of it is not kept elsewhere with the feature. */
static Jsonb *
kept_aggregation(const ViewFeature *feature)
{
	static const char *const elsewhere[] = {"column", "name", NULL};

	return RegistryWithout(feature->aggregation->definition, elsewhere);
}

/* What is said of each feature goes with it. */
static void
derive_feature_options(FeatureView *view)
{
	ListCell   *cell;

	forget_features(view, "feature_descriptions", false, DESCRIPTIONS_WANTED);
	forget_features(view, "feature_tags", true, TAGS_WANTED);
	foreach(cell, view->features)
	{
		ViewFeature *feature = lfirst(cell);
		char	   *description = option_member(view->options, "feature_descriptions", feature->name);
		char	   *tags = option_member(view->options, "feature_tags", feature->name);
		StringInfoData json;

		initStringInfo(&json);
		appendStringInfoChar(&json, '{');
		if (description != NULL)
		{
			appendStringInfoString(&json, "\"description\": ");
			escape_json(&json, description);
		}
		if (tags != NULL)
			appendStringInfo(&json, "%s\"tags\": %s", json.len > 1 ? ", " : "", tags);
		if (feature->aggregation != NULL)
			appendStringInfo(&json, "%s\"aggregation\": %s", json.len > 1 ? ", " : "",
							 JsonbToCString(NULL, &kept_aggregation(feature)->root, 0));
		appendStringInfoChar(&json, '}');
		feature->options = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
															  CStringGetDatum(json.data)));
	}
}

void
FeatureViewDerive(FeatureView *view, const FeatureView *kept, StoreSpec *store)
{
	Reading		reading = {0};

	memset(store, 0, sizeof(StoreSpec));
	reading.owner = get_role_oid(view->owner, false);
	reading.kept = kept;
	if (view->ttl != NULL)
		(void) IntervalLength(view->ttl, "ttl");
	if (view->window_length != NULL)
		(void) IntervalLength(view->window_length, "window_length");
	if (!view->online && !view->offline)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s \"%s\" is neither online nor offline", FeatureViewKind(view), view->name)));
	if (strcmp(view->kind, "on_demand") == 0)
		derive_from_inputs(view, &reading);
	else
		derive_from_source(view, &reading, store);
	FeatureViewCheckPast(view);
	check_expectations(view, reading.owner);
	derive_feature_options(view);
}
