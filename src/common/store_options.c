/*-------------------------------------------------------------------------
 *
 * store_options.c
 *		The options of a store: names, types, defaults, and when each applies.
 *
 * One table says everything about an option; checking, merging, showing and
 * parsing walk it.  An option that is not in it is refused by name, so that a
 * typing error never looks like success.
 *
 * Locks: none.
 * Must not know: tables.  That a role or tablespace exists is checked by whom
 * it concerns.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/store_options.h"

#include "catalog/pg_type.h"
#include "common/string.h"
#include "nodes/pg_list.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

#include "common/compat.h"
#include "common/length_of_time.h"

/* Longer ones are mistakes, and could be added to no timestamp. */
#define MAX_INTERVAL_YEARS	1000

typedef enum OptionType
{
	OPTION_TEXT,
	OPTION_CHOICE,
	OPTION_BOOL,
	OPTION_INTEGER,
	OPTION_INTERVAL,
	OPTION_LENGTH,				/* an interval that is not in months */
	OPTION_OBJECT,				/* of strings */
	OPTION_TOPICS				/* array of {"server": ..., "topic": ...} */
} OptionType;

typedef struct OptionDefinition
{
	const char *name;
	OptionType	type;
	OptionApplies applies;
	const char *default_json;	/* NULL: none */
	int64		minimum;		/* of OPTION_INTEGER */
	int64		maximum;
	const char *const *choices; /* of OPTION_CHOICE, NULL-terminated */
} OptionDefinition;

static const char *const key_formats[] = {
	"confluent-avro", "avro", "json", "text", "int4", "int8", "uuid", "value", NULL
};
static const char *const value_formats[] = {"confluent-avro", "avro", "json", NULL};
static const char *const duplicate_actions[] = {"error", "last", NULL};
static const char *const conflict_resolutions[] = {"arrival", "row", "field", NULL};
static const char *const rewind_origins[] = {"end_of_push", "start_of_push", NULL};
static const char *const write_modes[] = {"full", "partial", NULL};

/* In alphabetical order, as the error for an unknown key lists them. */
static const OptionDefinition definitions[] = {
	{"accept_loss", OPTION_BOOL, APPLIES_AT_ONCE, "false"},
	{"backup_retention", OPTION_INTERVAL, APPLIES_AT_ONCE, "\"7 days\""},
	{"cache", OPTION_BOOL, APPLIES_AT_ONCE, "false"},
	{"cache_ttl", OPTION_INTERVAL, APPLIES_AT_ONCE, NULL},
	{"conflict_resolution", OPTION_CHOICE, APPLIES_NEXT_VERSION, "\"arrival\"", 0, 0, conflict_resolutions},
	{"fields", OPTION_OBJECT, APPLIES_NEXT_VERSION, NULL},
	{"fillfactor", OPTION_INTEGER, APPLIES_NEXT_VERSION, "100", 10, 100},
	{"history", OPTION_BOOL, APPLIES_AT_ONCE, "false"},
	{"history_partition", OPTION_INTERVAL, APPLIES_AT_ONCE, "\"1 month\""},
	{"history_retention", OPTION_INTERVAL, APPLIES_AT_ONCE, NULL},
	{"key_format", OPTION_CHOICE, APPLIES_NEXT_VERSION, "\"confluent-avro\"", 0, 0, key_formats},
	{"max_lag", OPTION_INTEGER, APPLIES_AT_ONCE, "1000", 0, PG_INT64_MAX},
	{"max_lag_time", OPTION_INTERVAL, APPLIES_AT_ONCE, "\"1 minute\""},
	{"max_record_bytes", OPTION_INTEGER, APPLIES_AT_ONCE, "16777216", 1, 1024 * 1024 * 1024 - 1},
	{"max_rejected", OPTION_INTEGER, APPLIES_AT_ONCE, "0", 0, PG_INT64_MAX},
	{"on_duplicate", OPTION_CHOICE, APPLIES_NEXT_VERSION, "\"error\"", 0, 0, duplicate_actions},
	{"owner", OPTION_TEXT, APPLIES_AT_ONCE, NULL},
	{"real_time_topics", OPTION_TOPICS, APPLIES_NEXT_VERSION, NULL},
	{"rewind", OPTION_INTERVAL, APPLIES_NEXT_VERSION, "\"1 day\""},
	{"rewind_from", OPTION_CHOICE, APPLIES_NEXT_VERSION, "\"end_of_push\"", 0, 0, rewind_origins},
	{"storage_quota", OPTION_INTEGER, APPLIES_AT_ONCE, NULL, 1, PG_INT64_MAX},
	{"tablespace", OPTION_TEXT, APPLIES_NEXT_VERSION, NULL},
	{"tombstone_retention", OPTION_INTERVAL, APPLIES_AT_ONCE, "\"7 days\""},
	{"ttl", OPTION_LENGTH, APPLIES_AT_ONCE, NULL},
	{"unlogged", OPTION_BOOL, APPLIES_NEXT_VERSION, "false"},
	{"value_format", OPTION_CHOICE, APPLIES_NEXT_VERSION, "\"confluent-avro\"", 0, 0, value_formats},
	{"version_topic", OPTION_TEXT, APPLIES_NEXT_VERSION, "\"{store}_v{version}\""},
	{"versions_to_keep", OPTION_INTEGER, APPLIES_AT_ONCE, "2", 1, 1000},
	{"write_mode", OPTION_CHOICE, APPLIES_NEXT_VERSION, "\"full\"", 0, 0, write_modes},
	{"write_quota", OPTION_INTEGER, APPLIES_AT_ONCE, NULL, 1, PG_INT32_MAX},
};


static const JsonbValue *
find_value(const Jsonb *options, const char *key, JsonbValue *result)
{
	return getKeyJsonValueFromContainer(unconstify(JsonbContainer *, &options->root),
										key, strlen(key), result);
}

/*
 * OptionText
 *		One option's value as text, palloc'd; NULL when absent or JSON null.
 */
char *
OptionText(const Jsonb *options, const char *key)
{
	JsonbValue	buffer;
	const JsonbValue *value = find_value(options, key, &buffer);

	if (value == NULL)
		return NULL;
	switch (value->type)
	{
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out,
													   NumericGetDatum(value->val.numeric)));
		case jbvBinary:
			return JsonbToCString(NULL, value->val.binary.data, value->val.binary.len);
		default:
			return NULL;
	}
}

char *
OptionString(const Jsonb *options, const char *key)
{
	JsonbValue	buffer;
	const JsonbValue *value = find_value(options, key, &buffer);

	if (value == NULL || value->type == jbvNull)
		return NULL;
	if (value->type != jbvString || value->val.string.len == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"", key, OptionText(options, key)),
				 errhint("It takes a string that is not empty.")));
	return pnstrdup(value->val.string.val, value->val.string.len);
}

char *
OptionInterval(const Jsonb *options, const char *key)
{
	JsonbValue	buffer;
	const JsonbValue *value = find_value(options, key, &buffer);

	/* A number would be seconds, which nobody means by "ttl": 7. */
	if (value != NULL && value->type != jbvNull && value->type != jbvString)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"", key, OptionText(options, key)),
				 errhint("It takes an interval, such as \"7 days\".")));
	return OptionText(options, key);
}

/*
 * OptionsCheckKeys
 *		Raise 22023, listing the valid ones, for a key that is not among them.
 */
void
OptionsCheckKeys(const Jsonb *options, const char *const *valid, const char *arguments)
{
	JsonbIterator *iterator;
	JsonbValue	token;
	JsonbIteratorToken kind;

	if (!JB_ROOT_IS_OBJECT(options))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options must be a JSON object"),
				 errhint("For example '{\"%s\": ...}'.", valid[0] ? valid[0] : "option")));

	iterator = JsonbIteratorInit(unconstify(JsonbContainer *, &options->root));
	while ((kind = JsonbIteratorNext(&iterator, &token, true)) != WJB_DONE)
	{
		bool		known = false;

		if (kind != WJB_KEY)
			continue;
		for (int i = 0; valid[i] != NULL && !known; i++)
			known = strlen(valid[i]) == token.val.string.len &&
				memcmp(valid[i], token.val.string.val, token.val.string.len) == 0;
		if (!known)
		{
			StringInfoData list;

			initStringInfo(&list);
			for (int i = 0; valid[i] != NULL; i++)
				appendStringInfo(&list, "%s%s", i > 0 ? ", " : "", valid[i]);
			if (arguments != NULL)
				appendStringInfo(&list, ". Arguments, which in a definition are keys too, are: %s",
								 arguments);
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("unrecognized option \"%.*s\"", token.val.string.len,
							token.val.string.val),
					 list.len > 0 ? errhint("Valid options are: %s.", list.data) :
					 errhint("There are no valid options here.")));
		}
	}
}

void
OptionRefuse(const Jsonb *options, const char *key, const char *wanted)
{
	char	   *given = OptionText(options, key);

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for option \"%s\": \"%s\"", key, given ? given : "null"),
			 errhint("It takes %s.", wanted)));
	pg_unreachable();
}

static void
check_integer(const OptionDefinition *definition, const Jsonb *options)
{
	char	   *text = OptionText(options, definition->name);
	char	   *end;
	int64		value;

	errno = 0;
	value = strtoi64(text, &end, 10);
	if (errno != 0 || end == text || *end != '\0' ||
		value < definition->minimum || value > definition->maximum)
		OptionRefuse(options, definition->name,
					 definition->maximum == PG_INT64_MAX ?
					 psprintf("a whole number of at least " INT64_FORMAT, definition->minimum) :
					 psprintf("a whole number from " INT64_FORMAT " to " INT64_FORMAT,
							  definition->minimum, definition->maximum));
}

static void
name_option(void *name)
{
	errcontext("value of option \"%s\"", (const char *) name);
}

/* Raises what interval_in raises, or our own error for a negative interval. */
static Interval *
parse_interval(const char *name, char *text)
{
	ErrorContextCallback callback = {error_context_stack, name_option, unconstify(char *, name)};
	Interval   *interval;
	Interval	zero = {0};
	Interval	longest = {.month = MAX_INTERVAL_YEARS * MONTHS_PER_YEAR};

	error_context_stack = &callback;
	interval = DatumGetIntervalP(DirectFunctionCall3(interval_in, CStringGetDatum(text),
													 ObjectIdGetDatum(InvalidOid),
													 Int32GetDatum(-1)));
	error_context_stack = callback.previous;
	if (DatumGetBool(DirectFunctionCall2(interval_lt, IntervalPGetDatum(interval),
										 IntervalPGetDatum(&zero))) ||
		DatumGetBool(DirectFunctionCall2(interval_gt, IntervalPGetDatum(interval),
										 IntervalPGetDatum(&longest))))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("invalid value for option \"%s\": \"%s\"", name, text),
				 errhint("It takes an interval of at most %d years that is not negative, such as \"7 days\".",
						 MAX_INTERVAL_YEARS)));
	return interval;
}

/* Microseconds; 0 where the option is not set. */
static int64
length_of(const Jsonb *options, const char *name)
{
	char	   *text = OptionText(options, name);

	return text == NULL ? 0 : IntervalLength(parse_interval(name, text), name);
}

static void
check_object(const OptionDefinition *definition, const Jsonb *options)
{
	JsonbValue	buffer;
	const JsonbValue *value = find_value(options, definition->name, &buffer);
	JsonbIterator *iterator;
	JsonbValue	token;
	JsonbIteratorToken kind;

	if (value->type != jbvBinary || !JsonContainerIsObject(value->val.binary.data))
		OptionRefuse(options, definition->name, "an object, column name to field path");
	iterator = JsonbIteratorInit(value->val.binary.data);
	while ((kind = JsonbIteratorNext(&iterator, &token, true)) != WJB_DONE)
		if (kind == WJB_VALUE && (token.type != jbvString || token.val.string.len == 0))
			OptionRefuse(options, definition->name, "an object, column name to field path");
}

#define TOPICS_OPTION	"real_time_topics"
#define TOPICS_WANTED	"an array of objects {\"server\": ..., \"topic\": ...}, each of them once"

static char *
topic_member(const Jsonb *options, JsonbContainer *object, const char *name)
{
	JsonbValue	buffer;
	JsonbValue *value = getKeyJsonValueFromContainer(object, name, strlen(name), &buffer);

	if (value == NULL || value->type != jbvString || value->val.string.len == 0)
		OptionRefuse(options, TOPICS_OPTION, TOPICS_WANTED);
	return pnstrdup(value->val.string.val, value->val.string.len);
}

/* The list of RealTimeTopic; an empty array is none. */
static List *
parse_topics(const Jsonb *options)
{
	JsonbValue	buffer;
	const JsonbValue *value = find_value(options, TOPICS_OPTION, &buffer);
	List	   *topics = NIL;

	if (value == NULL || value->type == jbvNull)
		return NIL;
	if (value->type != jbvBinary || !JsonContainerIsArray(value->val.binary.data))
		OptionRefuse(options, TOPICS_OPTION, TOPICS_WANTED);
	for (uint32 i = 0; i < JsonContainerSize(value->val.binary.data); i++)
	{
		JsonbValue *element = getIthJsonbValueFromContainer(value->val.binary.data, i);
		RealTimeTopic *topic = palloc(sizeof(RealTimeTopic));
		ListCell   *cell;

		if (element->type != jbvBinary || !JsonContainerIsObject(element->val.binary.data) ||
			JsonContainerSize(element->val.binary.data) != 2)
			OptionRefuse(options, TOPICS_OPTION, TOPICS_WANTED);
		topic->server = topic_member(options, element->val.binary.data, "server");
		topic->topic = topic_member(options, element->val.binary.data, "topic");
		foreach(cell, topics)
		{
			const RealTimeTopic *other = lfirst(cell);

			if (strcmp(other->server, topic->server) == 0 &&
				strcmp(other->topic, topic->topic) == 0)
				OptionRefuse(options, TOPICS_OPTION, TOPICS_WANTED);
		}
		topics = lappend(topics, topic);
	}
	return topics;
}

void
StoreOptionsCheck(const Jsonb *options)
{
	const char *valid[lengthof(definitions) + 1];

	for (int i = 0; i < lengthof(definitions); i++)
		valid[i] = definitions[i].name;
	valid[lengthof(definitions)] = NULL;
	OptionsCheckKeys(options, valid, NULL);

	for (int i = 0; i < lengthof(definitions); i++)
	{
		const OptionDefinition *definition = &definitions[i];
		JsonbValue	buffer;
		const JsonbValue *value = find_value(options, definition->name, &buffer);

		if (value == NULL || value->type == jbvNull)
			continue;
		switch (definition->type)
		{
			case OPTION_TEXT:
				(void) OptionString(options, definition->name);
				break;
			case OPTION_CHOICE:
				{
					bool		found = false;
					StringInfoData list;

					initStringInfo(&list);
					for (int c = 0; definition->choices[c] != NULL; c++)
					{
						const char *choice = definition->choices[c];

						appendStringInfo(&list, "%s\"%s\"", c > 0 ? ", " : "one of ", choice);
						if (value->type == jbvString &&
							value->val.string.len == strlen(choice) &&
							memcmp(value->val.string.val, choice, strlen(choice)) == 0)
							found = true;
					}
					if (!found)
						OptionRefuse(options, definition->name, list.data);
					break;
				}
			case OPTION_BOOL:
				if (value->type != jbvBool)
					OptionRefuse(options, definition->name, "true or false");
				break;
			case OPTION_INTEGER:
				if (value->type != jbvNumeric && value->type != jbvString)
					OptionRefuse(options, definition->name, "a whole number");
				check_integer(definition, options);
				break;
			case OPTION_INTERVAL:
			case OPTION_LENGTH:
				if (value->type != jbvString)
					OptionRefuse(options, definition->name, "an interval, such as \"7 days\"");
				(void) parse_interval(definition->name, OptionText(options, definition->name));
				if (definition->type == OPTION_LENGTH)
					(void) length_of(options, definition->name);
				break;
			case OPTION_OBJECT:
				check_object(definition, options);
				break;
			case OPTION_TOPICS:
				(void) parse_topics(options);
				break;
		}
	}
}

Jsonb *
StoreOptionsMerge(const Jsonb *base, const Jsonb *changes)
{
	Datum		merged;

	merged = DirectFunctionCall2(jsonb_concat, PointerGetDatum(base), PointerGetDatum(changes));
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_strip_nulls, merged));
}

Jsonb *
StoreOptionsEffective(const Jsonb *options)
{
	StringInfoData defaults;
	bool		first = true;
	List	   *topics = parse_topics(options);
	Datum		base;

	initStringInfo(&defaults);
	appendStringInfoChar(&defaults, '{');
	for (int i = 0; i < lengthof(definitions); i++)
		if (definitions[i].default_json != NULL)
		{
			appendStringInfo(&defaults, "%s\"%s\": %s", first ? "" : ", ",
							 definitions[i].name, definitions[i].default_json);
			first = false;
		}
	/* What streams through a store changes its rows, and several streams each other's. */
	if (topics != NIL)
		appendStringInfoString(&defaults, ", \"fillfactor\": 85");
	if (list_length(topics) > 1)
		appendStringInfoString(&defaults, ", \"conflict_resolution\": \"row\"");
	appendStringInfoChar(&defaults, '}');
	base = DirectFunctionCall1(jsonb_in, CStringGetDatum(defaults.data));
	return DatumGetJsonbP(DirectFunctionCall2(jsonb_concat, base, PointerGetDatum(options)));
}

char *
StoreOptionsNextVersion(const Jsonb *changes)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; i < lengthof(definitions); i++)
	{
		JsonbValue	buffer;

		if (definitions[i].applies == APPLIES_NEXT_VERSION &&
			find_value(changes, definitions[i].name, &buffer) != NULL)
			appendStringInfo(&list, "%s\"%s\"", list.len > 0 ? ", " : "", definitions[i].name);
	}
	return list.len > 0 ? list.data : NULL;
}

/* 0 where the option is not set. */
static int64
integer_of(const Jsonb *options, const char *key)
{
	char	   *text = OptionText(options, key);

	return text == NULL ? 0 : strtoi64(text, NULL, 10);
}

static bool
bool_of(const Jsonb *options, const char *key)
{
	return strcmp(OptionText(options, key), "true") == 0;
}

StoreOptions *
StoreOptionsParse(const Jsonb *options)
{
	StoreOptions *result = palloc0(sizeof(StoreOptions));
	const Jsonb *effective = StoreOptionsEffective(options);
	JsonbValue	buffer;
	const JsonbValue *fields = find_value(effective, "fields", &buffer);
	char	   *retention = OptionText(effective, "history_retention");

	result->owner = OptionText(effective, "owner");
	result->key_format = OptionText(effective, "key_format");
	result->value_format = OptionText(effective, "value_format");
	result->fields = fields ? JsonbValueToJsonb(unconstify(JsonbValue *, fields)) : NULL;
	result->version_topic = OptionText(effective, "version_topic");
	result->on_duplicate_last = strcmp(OptionText(effective, "on_duplicate"), "last") == 0;
	result->max_rejected = integer_of(effective, "max_rejected");
	result->versions_to_keep = (int) integer_of(effective, "versions_to_keep");
	result->backup_retention = *parse_interval("backup_retention",
											   OptionText(effective, "backup_retention"));
	result->fillfactor = (int) integer_of(effective, "fillfactor");
	result->tablespace = OptionText(effective, "tablespace");
	result->unlogged = bool_of(effective, "unlogged");
	result->accept_loss = bool_of(effective, "accept_loss");
	result->max_record_bytes = integer_of(effective, "max_record_bytes");
	result->cache = bool_of(effective, "cache");
	result->history = bool_of(effective, "history");
	result->history_partition = *parse_interval("history_partition",
												OptionText(effective, "history_partition"));
	result->conflict_resolution = OptionText(effective, "conflict_resolution");
	result->rewind = *parse_interval("rewind", OptionText(effective, "rewind"));
	result->rewind_from_start = strcmp(OptionText(effective, "rewind_from"), "start_of_push") == 0;
	result->tombstone_retention = *parse_interval("tombstone_retention",
												  OptionText(effective, "tombstone_retention"));
	result->write_partial = strcmp(OptionText(effective, "write_mode"), "partial") == 0;
	result->ttl_us = length_of(effective, "ttl");
	result->storage_quota = integer_of(effective, "storage_quota");
	result->write_quota = (int) integer_of(effective, "write_quota");
	if (retention != NULL)
		result->history_retention = parse_interval("history_retention", retention);
	result->real_time_topics = parse_topics(effective);
	result->max_lag = integer_of(effective, "max_lag");
	result->max_lag_time = *parse_interval("max_lag_time", OptionText(effective, "max_lag_time"));
	return result;
}
