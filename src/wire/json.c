/*-------------------------------------------------------------------------
 *
 * json.c
 *		Reads one JSON text in one pass, straight into the values of columns.
 *
 * The fields of the columns form a tree of names.  A parser over the server's
 * own lexer walks text and tree together: a member that the tree has is
 * converted where it is met, any other is skipped.  Every value reaches its
 * column as text through the type's input function, numbers as they are
 * written, so that nothing passes through a float; arrays are built of elements
 * converted in the same way, and json and jsonb take a value's source text.
 * Types that are neither take an array or an object as its text too, which is
 * how pgvector reads its vectors.
 *
 * Of members with the same name the last wins; as each is converted when met,
 * each must fit.  Producers write members in the same order every time, so each
 * name remembers which one followed it, and is right nearly always.
 *
 * In an update a member that is not there changes nothing, and one that is an object
 * with a name beginning with "$" does something to the column instead of setting it.
 *
 * Locks: none.
 * Must not know: whether it reads a key or a value, or where it came from.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "wire/json.h"

#include "catalog/pg_type.h"
#include "common/jsonapi.h"
#include "mb/pg_wchar.h"
#include "nodes/pg_list.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#include "common/compat.h"
#include "common/type_input.h"
#include "wire/text.h"

/* Deeper texts are refused, long before the stack is in danger. */
#define MAX_DEPTH		512

/* The text of most values that are not strings fits. */
#define SHORT_TEXT_BYTES	128

/* Numbers of no more bytes, with no more than "e-999" for an exponent, fit numeric. */
#define MAX_NUMBER_BYTES	4000
#define MAX_EXPONENT_BYTES	5

typedef enum TargetKind
{
	TARGET_INPUT,				/* the content of a string, the source text of others */
	TARGET_TEXT,				/* the same, but it is the value already */
	TARGET_JSON,				/* always the source text */
	TARGET_ARRAY				/* as TARGET_INPUT, but JSON arrays by element */
} TargetKind;

/* A type that JSON is converted to. */
typedef struct JsonTarget
{
	TargetKind	kind;
	TypeInput	input;
	struct JsonTarget *element; /* of an array, with how its values are stored */
	Oid			element_type;
	int16		element_bytes;
	bool		element_byval;
	char		element_align;
} JsonTarget;

/* A name in the tree of fields. */
typedef struct JsonMember
{
	const char *name;
	int			name_bytes;
	List	   *columns;		/* that take its value: more than one field may be alike */
	List	   *members;		/* below it, sorted by member_compare once complete */
	struct JsonMember *first;	/* of these, the first one met last time */
	struct JsonMember *next;	/* the one met after this one last time */
} JsonMember;

struct JsonReader
{
	const char *part;
	const RecordColumn *columns;
	int			ncolumns;
	JsonTarget *targets;		/* one per column */
	JsonMember	root;
	MemoryContext scratch;		/* reset for each text */

	/* Of the text being read */
	Datum	   *values;
	bool	   *isnull;
	bool	   *found;
	FieldWrite *fields;			/* of an update, in place of those three; else NULL */
	int			column;			/* being converted, or -1 */
	DecodeError *error;
};

/* A position in a text. */
typedef struct JsonCursor
{
	JsonReader *reader;
	JsonLexContext *lex;		/* its token is the current one */
	const char *end;
	int			depth;
	const char *name;			/* of the current member, as written between the quotes */
	int			name_bytes;
} JsonCursor;

/* An array being read, of any number of dimensions. */
typedef struct JsonArray
{
	JsonTarget *element;
	Datum	   *values;
	bool	   *isnull;
	int			count;
	int			size;
	int			dimensions;		/* 0 until an element was met */
	int			deepest;		/* level of brackets met so far */
	int			lengths[MAXDIM];	/* -1 until a list of that level was complete */
} JsonArray;

static void target_init(JsonTarget *target, Oid type, int32 typmod, MemoryContext context);
static bool decode_text(JsonReader *reader, const char *data, int data_bytes,
						DecodeError *error);
static JsonMember *member_at(JsonMember *parent, const char *name, int name_bytes);
static void members_sort(JsonMember *parent);
static int	member_compare(const ListCell *a, const ListCell *b);
static bool read_root(JsonCursor *cursor);
static bool read_members(JsonCursor *cursor, JsonMember *parent);
static JsonMember *member_find(JsonMember *parent, JsonMember **guess,
							   const char *name, int name_bytes);
static bool read_member(JsonCursor *cursor, JsonMember *member);
static void members_forget(JsonReader *reader, const JsonMember *parent);
static void members_set_null(JsonReader *reader, const JsonMember *parent);
static bool read_column(JsonCursor *cursor, int column);
static bool read_field(JsonCursor *cursor, int column, FieldWrite *field);
static bool find_operation(JsonCursor *cursor, bool *found);
static bool read_operation(JsonCursor *cursor, int column, const char *name, int name_bytes,
						   FieldWrite *field);
static bool read_keys(JsonCursor *cursor, int column, Datum *keys);
static bool refuse_operation(JsonReader *reader, int column, const char *name, int name_bytes);
static bool read_value(JsonCursor *cursor, JsonTarget *target, Datum *value, bool *isnull);
static Datum text_to_value(JsonReader *reader, JsonTarget *target, const char *text,
						   int text_bytes);
static bool read_array(JsonCursor *cursor, JsonTarget *target, Datum *value);
static bool read_elements(JsonCursor *cursor, JsonArray *array, int level);
static bool fill_missing(JsonReader *reader);
static bool check_null(JsonReader *reader, int column);
static bool check_fields(JsonReader *reader);
static void cursor_init(JsonCursor *cursor, JsonReader *reader, const char *text,
						int text_bytes, bool need_escapes);
static bool next_token(JsonCursor *cursor);
static bool next_member(JsonCursor *cursor, bool *more);
static bool next_element(JsonCursor *cursor, bool *more);
static bool string_content(JsonCursor *cursor, const char **content, int *content_bytes);
static bool skip_value(JsonCursor *cursor);
static bool enter(JsonCursor *cursor);
static bool syntax_error(JsonCursor *cursor, JsonParseErrorType reason);
static void column_context(void *arg);

JsonReader *
JsonReaderCreate(const RecordColumn *columns, int ncolumns, const char *part,
				 MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	JsonReader *reader = palloc0(sizeof(JsonReader));

	reader->part = part;
	reader->columns = columns;
	reader->ncolumns = ncolumns;
	reader->targets = palloc0(sizeof(JsonTarget) * ncolumns);
	reader->found = palloc0(sizeof(bool) * ncolumns);
	reader->scratch = AllocSetContextCreate(context, "venice JSON reader",
											ALLOCSET_DEFAULT_SIZES);

	for (int i = 0; i < ncolumns; i++)
	{
		JsonMember *member = &reader->root;
		const char *name = columns[i].field != NULL ? columns[i].field : columns[i].name;
		int			name_bytes = strlen(name);

		/* A column's own name is one name, dots and all */
		while (columns[i].field != NULL && strchr(name, '.') != NULL)
		{
			name_bytes = strchr(name, '.') - name;
			if (name_bytes == 0)
				break;
			member = member_at(member, name, name_bytes);
			name += name_bytes + 1;
			name_bytes = strlen(name);
		}
		if (name_bytes == 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("field path \"%s\" of column \"%s\" has an empty name",
							columns[i].field != NULL ? columns[i].field : "",
							columns[i].name)));
		member = member_at(member, name, name_bytes);
		member->columns = lappend_int(member->columns, i);
		target_init(&reader->targets[i], columns[i].type, columns[i].typmod, context);
	}
	members_sort(&reader->root);

	MemoryContextSwitchTo(caller);
	return reader;
}

static void
target_init(JsonTarget *target, Oid type, int32 typmod, MemoryContext context)
{
	TypeInputInit(&target->input, type, typmod, context);
	target->element_type = get_element_type(target->input.type);

	if (OidIsValid(target->element_type))
	{
		target->kind = TARGET_ARRAY;
		target->element = MemoryContextAllocZero(context, sizeof(JsonTarget));
		target_init(target->element, target->element_type, target->input.typmod, context);
		get_typlenbyvalalign(target->element_type, &target->element_bytes,
							 &target->element_byval, &target->element_align);
	}
	else if (target->input.type == JSONOID || target->input.type == JSONBOID)
		target->kind = TARGET_JSON;
	else if (type == TEXTOID)
		target->kind = TARGET_TEXT;
	else
		target->kind = TARGET_INPUT;
}

/* The member of that name, made if there is none. */
static JsonMember *
member_at(JsonMember *parent, const char *name, int name_bytes)
{
	JsonMember *member;
	ListCell   *cell;

	foreach(cell, parent->members)
	{
		member = lfirst(cell);
		if (member->name_bytes == name_bytes && memcmp(member->name, name, name_bytes) == 0)
			return member;
	}
	member = palloc0(sizeof(JsonMember));
	member->name = pnstrdup(name, name_bytes);
	member->name_bytes = name_bytes;
	parent->members = lappend(parent->members, member);
	return member;
}

static void
members_sort(JsonMember *parent)
{
	ListCell   *cell;

	list_sort(parent->members, member_compare);
	foreach(cell, parent->members)
		members_sort(lfirst(cell));
}

static int
member_compare(const ListCell *a, const ListCell *b)
{
	const JsonMember *left = lfirst(a);
	const JsonMember *right = lfirst(b);

	if (left->name_bytes != right->name_bytes)
		return left->name_bytes < right->name_bytes ? -1 : 1;
	return memcmp(left->name, right->name, left->name_bytes);
}

bool
JsonReaderDecode(JsonReader *reader, const char *data, int data_bytes,
				 Datum *values, bool *isnull, DecodeError *error)
{
	reader->values = values;
	reader->isnull = isnull;
	reader->fields = NULL;
	memset(reader->found, 0, sizeof(bool) * reader->ncolumns);
	return decode_text(reader, data, data_bytes, error);
}

bool
JsonReaderDecodeUpdate(JsonReader *reader, const char *data, int data_bytes,
					   FieldWrite *fields, DecodeError *error)
{
	reader->fields = fields;
	memset(fields, 0, sizeof(FieldWrite) * reader->ncolumns);
	return decode_text(reader, data, data_bytes, error);
}

static bool
decode_text(JsonReader *reader, const char *data, int data_bytes, DecodeError *error)
{
	MemoryContext caller;
	ErrorContextCallback context;
	JsonCursor	cursor;
	bool		decoded;

	MemoryContextReset(reader->scratch);
	caller = MemoryContextSwitchTo(reader->scratch);
	decoded = WireTextToServer(&data, &data_bytes, reader->part, error);
	MemoryContextSwitchTo(caller);
	if (!decoded)
		return false;

	reader->error = error;
	reader->column = -1;

	context.callback = column_context;
	context.arg = reader;
	context.previous = error_context_stack;
	error_context_stack = &context;

	cursor_init(&cursor, reader, data, data_bytes, false);
	decoded = read_root(&cursor) &&
		(reader->fields != NULL ? check_fields(reader) : fill_missing(reader));

	error_context_stack = context.previous;
	return decoded;
}

/* Each read_ function begins on the first token of a value and ends on its last. */
static bool
read_root(JsonCursor *cursor)
{
	JsonReader *reader = cursor->reader;

	if (!next_token(cursor))
		return false;

	if (cursor->lex->token_type == JSON_TOKEN_OBJECT_START)
	{
		if (!read_members(cursor, &reader->root))
			return false;
	}
	else if (reader->ncolumns == 1)
	{
		if (!read_column(cursor, 0))
			return false;
	}
	else
	{
		if (!skip_value(cursor))
			return false;
		if (reader->ncolumns > 1)
			return WireReject(reader->error, ERRCODE_INVALID_TEXT_REPRESENTATION,
							  "%s is JSON, but not an object", reader->part);
	}

	if (!next_token(cursor))
		return false;
	if (cursor->lex->token_type != JSON_TOKEN_END)
		return syntax_error(cursor, JSON_EXPECTED_END);
	return true;
}

static bool
read_members(JsonCursor *cursor, JsonMember *parent)
{
	JsonMember **guess = &parent->first;
	bool		more;

	if (!enter(cursor))
		return false;
	for (;;)
	{
		const char *name;
		int			name_bytes;
		JsonMember *member;

		if (!next_member(cursor, &more))
			return false;
		if (!more)
			break;

		name = cursor->name;
		name_bytes = cursor->name_bytes;
		if (!string_content(cursor, &name, &name_bytes))
			return false;
		member = member_find(parent, guess, name, name_bytes);
		if (member == NULL)
		{
			if (!skip_value(cursor))
				return false;
			continue;
		}
		guess = &member->next;
		if (!read_member(cursor, member))
			return false;
	}
	cursor->depth--;
	return true;
}

/* The parent's member of that name, or NULL; corrects a wrong guess. */
static JsonMember *
member_find(JsonMember *parent, JsonMember **guess, const char *name, int name_bytes)
{
	JsonMember	wanted;
	ListCell	key;
	ListCell   *cell;

	if (*guess != NULL && (*guess)->name_bytes == name_bytes &&
		memcmp((*guess)->name, name, name_bytes) == 0)
		return *guess;
	if (parent->members == NIL)
		return NULL;

	wanted.name = name;
	wanted.name_bytes = name_bytes;
	key.ptr_value = &wanted;
	cell = bsearch(&key, parent->members->elements, list_length(parent->members),
				   sizeof(ListCell), (int (*) (const void *, const void *)) member_compare);
	if (cell == NULL)
		return NULL;
	return *guess = lfirst(cell);
}

/* Give a member's value to all that want it: columns, and members within it. */
static bool
read_member(JsonCursor *cursor, JsonMember *member)
{
	const char *start = cursor->lex->token_start;
	int			readers = list_length(member->columns) + (member->members != NIL);
	ListCell   *cell;

	foreach(cell, member->columns)
	{
		JsonCursor	again;

		/* Only the last one moves the cursor */
		if (--readers == 0)
			return read_column(cursor, lfirst_int(cell));
		cursor_init(&again, cursor->reader, start, cursor->end - start, false);
		again.depth = cursor->depth;
		if (!next_token(&again) || !read_column(&again, lfirst_int(cell)))
			return false;
	}

	members_forget(cursor->reader, member);
	if (cursor->lex->token_type == JSON_TOKEN_OBJECT_START)
		return read_members(cursor, member);
	if (!skip_value(cursor))
		return false;
	if (cursor->lex->token_type != JSON_TOKEN_NULL)
		return WireReject(cursor->reader->error, ERRCODE_INVALID_TEXT_REPRESENTATION,
						  "member \"%s\" of the %s is not an object", member->name,
						  cursor->reader->part);
	if (cursor->reader->fields != NULL)
		members_set_null(cursor->reader, member);
	return true;
}

/* An object that is repeated replaces the earlier one, and all that was in it. */
static void
members_forget(JsonReader *reader, const JsonMember *parent)
{
	ListCell   *cell;
	ListCell   *column;

	foreach(cell, parent->members)
	{
		const JsonMember *member = lfirst(cell);

		foreach(column, member->columns)
		{
			if (reader->fields != NULL)
				reader->fields[lfirst_int(column)].change = FIELD_KEEP;
			else
				reader->found[lfirst_int(column)] = false;
		}
		members_forget(reader, member);
	}
}

/* Nothing is in what is null. */
static void
members_set_null(JsonReader *reader, const JsonMember *parent)
{
	ListCell   *cell;
	ListCell   *column;

	foreach(cell, parent->members)
	{
		const JsonMember *member = lfirst(cell);

		foreach(column, member->columns)
		{
			FieldWrite *field = &reader->fields[lfirst_int(column)];

			memset(field, 0, sizeof(FieldWrite));
			field->change = FIELD_SET;
			field->isnull = true;
		}
		members_set_null(reader, member);
	}
}

static bool
read_column(JsonCursor *cursor, int column)
{
	JsonReader *reader = cursor->reader;

	reader->column = column;
	if (reader->fields != NULL)
	{
		if (!read_field(cursor, column, &reader->fields[column]))
			return false;
	}
	else
	{
		if (!read_value(cursor, &reader->targets[column], &reader->values[column],
						&reader->isnull[column]))
			return false;
		reader->found[column] = true;
	}
	reader->column = -1;
	return true;
}

/* What an update does to a column. */
static bool
read_field(JsonCursor *cursor, int column, FieldWrite *field)
{
	bool		is_operation = false;
	bool		more;

	if (cursor->lex->token_type == JSON_TOKEN_OBJECT_START &&
		!find_operation(cursor, &is_operation))
		return false;

	memset(field, 0, sizeof(FieldWrite));
	if (!is_operation)
	{
		field->change = FIELD_SET;
		return read_value(cursor, &cursor->reader->targets[column], &field->value, &field->isnull);
	}

	field->isnull = field->removed_isnull = true;
	if (!enter(cursor))
		return false;
	for (;;)
	{
		const char *name;
		int			name_bytes;

		if (!next_member(cursor, &more))
			return false;
		if (!more)
			break;
		name = cursor->name;
		name_bytes = cursor->name_bytes;
		if (!string_content(cursor, &name, &name_bytes) ||
			!read_operation(cursor, column, name, name_bytes, field))
			return false;
	}
	cursor->depth--;
	return true;
}

/*
 * Has the object that begins here a name that begins with "$"?  All are looked at, because
 * the order of members means nothing, and jsonb has another.
 */
static bool
find_operation(JsonCursor *cursor, bool *found)
{
	JsonCursor	ahead;
	bool		more;

	cursor_init(&ahead, cursor->reader, cursor->lex->token_start,
				cursor->end - cursor->lex->token_start, false);
	ahead.depth = cursor->depth;
	if (!next_token(&ahead) || !enter(&ahead))
		return false;
	while (!*found)
	{
		const char *name;
		int			name_bytes;

		if (!next_member(&ahead, &more))
			return false;
		if (!more)
			break;
		name = ahead.name;
		name_bytes = ahead.name_bytes;
		if (!string_content(&ahead, &name, &name_bytes) || !skip_value(&ahead))
			return false;
		*found = name_bytes > 0 && name[0] == '$';
	}
	return true;
}

static bool
is_named(const char *name, int name_bytes, const char *operation)
{
	return name_bytes == strlen(operation) && memcmp(name, operation, name_bytes) == 0;
}

static bool
read_operation(JsonCursor *cursor, int column, const char *name, int name_bytes,
			   FieldWrite *field)
{
	JsonReader *reader = cursor->reader;
	JsonTarget *target = &reader->targets[column];
	bool		is_map = target->input.type == JSONBOID;
	FieldChange change = FIELD_MEMBERS;

	if (is_named(name, name_bytes, "$add"))
		change = FIELD_ADD;
	else if (!is_named(name, name_bytes, is_map ? "$merge" : "$union") &&
			 !is_named(name, name_bytes, is_map ? "$remove" : "$diff"))
		return refuse_operation(reader, column, name, name_bytes);
	if (field->change != FIELD_KEEP && field->change != change)
		return refuse_operation(reader, column, name, name_bytes);
	FieldWriteCheck(reader->columns[column].name, reader->columns[column].type, change);
	field->change = change;

	if (is_named(name, name_bytes, "$diff"))
		return read_value(cursor, target, &field->removed, &field->removed_isnull);
	if (is_named(name, name_bytes, "$remove"))
	{
		field->removed_isnull = false;
		return read_keys(cursor, column, &field->removed);
	}
	if (is_named(name, name_bytes, "$merge") && cursor->lex->token_type != JSON_TOKEN_OBJECT_START)
		return WireReject(reader->error, ERRCODE_INVALID_PARAMETER_VALUE,
						  "\"$merge\" of column \"%s\" is no object",
						  reader->columns[column].name);
	return read_value(cursor, target, &field->value, &field->isnull);
}

/* Keys of a map, as text[]. */
static bool
read_keys(JsonCursor *cursor, int column, Datum *keys)
{
	JsonReader *reader = cursor->reader;
	ArrayBuildState *state = initArrayResult(TEXTOID, CurrentMemoryContext, false);
	bool		more;

	if (cursor->lex->token_type != JSON_TOKEN_ARRAY_START)
		return WireReject(reader->error, ERRCODE_INVALID_PARAMETER_VALUE,
						  "\"$remove\" of column \"%s\" is no array of keys",
						  reader->columns[column].name);
	if (!enter(cursor))
		return false;
	for (;;)
	{
		const char *key;
		int			key_bytes;

		if (!next_element(cursor, &more))
			return false;
		if (!more)
			break;
		if (cursor->lex->token_type != JSON_TOKEN_STRING)
			return WireReject(reader->error, ERRCODE_INVALID_PARAMETER_VALUE,
							  "\"$remove\" of column \"%s\" has a key that is no string",
							  reader->columns[column].name);
		key = cursor->lex->token_start + 1;
		key_bytes = cursor->lex->token_terminator - cursor->lex->token_start - 2;
		if (!string_content(cursor, &key, &key_bytes))
			return false;
		state = accumArrayResult(state,
								 PointerGetDatum(cstring_to_text_with_len(key, key_bytes)),
								 false, TEXTOID, CurrentMemoryContext);
	}
	cursor->depth--;
	*keys = makeArrayResult(state, CurrentMemoryContext);
	return true;
}

static bool
refuse_operation(JsonReader *reader, int column, const char *name, int name_bytes)
{
	return WireReject(reader->error, ERRCODE_INVALID_PARAMETER_VALUE,
					  "unrecognized operation \"%.*s\" on column \"%s\"", name_bytes, name,
					  reader->columns[column].name);
}

static bool
read_value(JsonCursor *cursor, JsonTarget *target, Datum *value, bool *isnull)
{
	JsonTokenType type = cursor->lex->token_type;
	const char *text = cursor->lex->token_start;
	int			text_bytes;

	*isnull = type == JSON_TOKEN_NULL;
	if (*isnull)
	{
		*value = (Datum) 0;
		return true;
	}
	if (type == JSON_TOKEN_ARRAY_START && target->kind == TARGET_ARRAY)
		return read_array(cursor, target, value);

	if (!skip_value(cursor))
		return false;
	text_bytes = cursor->lex->token_terminator - text;
	if (type == JSON_TOKEN_STRING && target->kind != TARGET_JSON)
	{
		text++;
		text_bytes -= 2;
		if (!string_content(cursor, &text, &text_bytes))
			return false;
	}
	*value = text_to_value(cursor->reader, target, text, text_bytes);
	return true;
}

static Datum
text_to_value(JsonReader *reader, JsonTarget *target, const char *text, int text_bytes)
{
	char		short_text[SHORT_TEXT_BYTES];
	char	   *string = short_text;

	if (target->kind == TARGET_TEXT)
		return PointerGetDatum(cstring_to_text_with_len(text, text_bytes));

	if (text_bytes >= SHORT_TEXT_BYTES)
		string = MemoryContextAlloc(reader->scratch, text_bytes + 1);
	memcpy(string, text, text_bytes);
	string[text_bytes] = '\0';
	return TypeInputCall(&target->input, string);
}

/*
 * Lists within lists are dimensions.  They must agree in number and length, and
 * an array without elements has no dimensions, as everywhere in PostgreSQL.
 */
static bool
read_array(JsonCursor *cursor, JsonTarget *target, Datum *value)
{
	MemoryContext caller;
	JsonArray	array = {.element = target->element, .size = 16};
	int			lower_bounds[MAXDIM];
	bool		complete;

	caller = MemoryContextSwitchTo(cursor->reader->scratch);
	array.values = palloc(sizeof(Datum) * array.size);
	array.isnull = palloc(sizeof(bool) * array.size);
	for (int i = 0; i < MAXDIM; i++)
	{
		array.lengths[i] = -1;
		lower_bounds[i] = 1;
	}
	complete = read_elements(cursor, &array, 0);
	MemoryContextSwitchTo(caller);
	if (!complete)
		return false;

	*value = PointerGetDatum(construct_md_array(array.values, array.isnull, array.dimensions,
												array.lengths, lower_bounds,
												target->element_type, target->element_bytes,
												target->element_byval, target->element_align));
	if (OidIsValid(target->input.domain))
		domain_check(*value, false, target->input.domain, &target->input.domain_cache,
					 target->input.context);
	return true;
}

/* Append the elements of one list, which is level lists deep in the array. */
static bool
read_elements(JsonCursor *cursor, JsonArray *array, int level)
{
	JsonReader *reader = cursor->reader;
	bool		ragged = false;
	int			length = 0;
	bool		more;

	if (level >= MAXDIM)
		return WireReject(reader->error, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
						  "array for column \"%s\" has more than %d dimensions",
						  reader->columns[reader->column].name, MAXDIM);
	if (!enter(cursor))
		return false;
	array->deepest = Max(array->deepest, level);

	while (!ragged)
	{
		if (!next_element(cursor, &more))
			return false;
		if (!more)
			break;
		length++;

		if (cursor->lex->token_type == JSON_TOKEN_ARRAY_START &&
			array->element->kind != TARGET_JSON && array->element->kind != TARGET_ARRAY)
		{
			ragged = array->dimensions == level + 1;
			if (!ragged && !read_elements(cursor, array, level + 1))
				return false;
			continue;
		}

		if (array->dimensions == 0 && array->deepest == level)
			array->dimensions = level + 1;
		ragged = array->dimensions != level + 1;
		if (array->count == array->size)
		{
			array->size *= 2;
			array->values = repalloc_huge(array->values, sizeof(Datum) * array->size);
			array->isnull = repalloc_huge(array->isnull, sizeof(bool) * array->size);
		}
		if (!read_value(cursor, array->element, &array->values[array->count],
						&array->isnull[array->count]))
			return false;
		if (array->isnull[array->count] && OidIsValid(array->element->input.domain))
			domain_check((Datum) 0, true, array->element->input.domain,
						 &array->element->input.domain_cache, array->element->input.context);
		array->count++;
	}

	if (array->lengths[level] < 0)
		array->lengths[level] = length;
	if (ragged || array->lengths[level] != length)
		return WireReject(reader->error, ERRCODE_INVALID_TEXT_REPRESENTATION,
						  "lists in the array for column \"%s\" differ in length or depth",
						  reader->columns[reader->column].name);
	cursor->depth--;
	return true;
}

/* Give the columns that were not met their defaults, and check all for NULLs. */
static bool
fill_missing(JsonReader *reader)
{
	for (int i = 0; i < reader->ncolumns; i++)
	{
		const RecordColumn *column = &reader->columns[i];

		if (!reader->found[i])
		{
			reader->isnull[i] = !column->has_default || column->default_isnull;
			reader->values[i] = reader->isnull[i] ? (Datum) 0 : column->default_value;
		}
		if (reader->isnull[i] && !check_null(reader, i))
			return false;
	}
	return true;
}

/* May the column be NULL? */
static bool
check_null(JsonReader *reader, int column)
{
	TypeInput  *input = &reader->targets[column].input;

	if (reader->columns[column].not_null)
		return WireReject(reader->error, ERRCODE_NOT_NULL_VIOLATION,
						  "column \"%s\" is not null, but the %s has no value for it",
						  reader->columns[column].name, reader->part);
	if (OidIsValid(input->domain))
	{
		reader->column = column;
		domain_check((Datum) 0, true, input->domain, &input->domain_cache, input->context);
	}
	return true;
}

/* Of an update: check what is set to NULL, and that keys are there. */
static bool
check_fields(JsonReader *reader)
{
	for (int i = 0; i < reader->ncolumns; i++)
	{
		const FieldWrite *field = &reader->fields[i];
		bool		is_key = reader->columns[i].is_key;

		if (is_key && field->change != FIELD_KEEP && field->change != FIELD_SET)
			return WireReject(reader->error, ERRCODE_INVALID_PARAMETER_VALUE,
							  "column \"%s\" is a key", reader->columns[i].name);
		if ((field->change == FIELD_SET && field->isnull) ||
			(is_key && field->change == FIELD_KEEP))
		{
			if (!check_null(reader, i))
				return false;
		}
	}
	return true;
}

/* Before the first token.  With need_escapes, strings are checked to the last escape. */
static void
cursor_init(JsonCursor *cursor, JsonReader *reader, const char *text, int text_bytes,
			bool need_escapes)
{
	MemoryContext caller = MemoryContextSwitchTo(reader->scratch);

	cursor->reader = reader;
	cursor->lex = makeJsonLexContextCstringLen(NULL, text, text_bytes, GetDatabaseEncoding(),
											   need_escapes);
	cursor->end = text + text_bytes;
	cursor->depth = 0;
	MemoryContextSwitchTo(caller);
}

static bool
next_token(JsonCursor *cursor)
{
	JsonParseErrorType result = json_lex(cursor->lex);

	return result == JSON_SUCCESS || syntax_error(cursor, result);
}

/*
 * From an object's opening brace, or from the last token of a member's value, to
 * the value of the next member, or to the closing brace, *more being false.
 */
static bool
next_member(JsonCursor *cursor, bool *more)
{
	JsonLexContext *lex = cursor->lex;
	bool		first = lex->token_type == JSON_TOKEN_OBJECT_START;

	if (!next_token(cursor))
		return false;
	*more = lex->token_type != JSON_TOKEN_OBJECT_END;
	if (!*more)
		return true;

	if (!first)
	{
		if (lex->token_type != JSON_TOKEN_COMMA)
			return syntax_error(cursor, JSON_EXPECTED_OBJECT_NEXT);
		if (!next_token(cursor))
			return false;
	}
	if (lex->token_type != JSON_TOKEN_STRING)
		return syntax_error(cursor, first ? JSON_EXPECTED_OBJECT_FIRST : JSON_EXPECTED_STRING);
	cursor->name = lex->token_start + 1;
	cursor->name_bytes = lex->token_terminator - lex->token_start - 2;

	if (!next_token(cursor))
		return false;
	if (lex->token_type != JSON_TOKEN_COLON)
		return syntax_error(cursor, JSON_EXPECTED_COLON);
	return next_token(cursor);
}

/* The same for an array. */
static bool
next_element(JsonCursor *cursor, bool *more)
{
	JsonLexContext *lex = cursor->lex;
	bool		first = lex->token_type == JSON_TOKEN_ARRAY_START;

	if (!next_token(cursor))
		return false;
	*more = lex->token_type != JSON_TOKEN_ARRAY_END;
	if (!*more || first)
		return true;
	if (lex->token_type != JSON_TOKEN_COMMA)
		return syntax_error(cursor, JSON_EXPECTED_ARRAY_NEXT);
	return next_token(cursor);
}

/* What stands between two quotes, if need be with its escapes resolved. */
static bool
string_content(JsonCursor *cursor, const char **content, int *content_bytes)
{
	JsonCursor	escaped;

	if (memchr(*content, '\\', *content_bytes) == NULL)
		return true;

	cursor_init(&escaped, cursor->reader, *content - 1, *content_bytes + 2, true);
	if (!next_token(&escaped))
		return false;
	*content = escaped.lex->strval->data;
	*content_bytes = escaped.lex->strval->len;
	return true;
}

static bool
skip_value(JsonCursor *cursor)
{
	bool		more;

	switch (cursor->lex->token_type)
	{
		case JSON_TOKEN_STRING:
		case JSON_TOKEN_NUMBER:
		case JSON_TOKEN_TRUE:
		case JSON_TOKEN_FALSE:
		case JSON_TOKEN_NULL:
			return true;
		case JSON_TOKEN_OBJECT_START:
			if (!enter(cursor))
				return false;
			for (;;)
			{
				if (!next_member(cursor, &more))
					return false;
				if (!more)
					break;
				if (!skip_value(cursor))
					return false;
			}
			break;
		case JSON_TOKEN_ARRAY_START:
			if (!enter(cursor))
				return false;
			for (;;)
			{
				if (!next_element(cursor, &more))
					return false;
				if (!more)
					break;
				if (!skip_value(cursor))
					return false;
			}
			break;
		default:
			return syntax_error(cursor, JSON_EXPECTED_JSON);
	}
	cursor->depth--;
	return true;
}

/* Go down one level, if the text may. */
static bool
enter(JsonCursor *cursor)
{
	if (++cursor->depth <= MAX_DEPTH)
		return true;
	return WireReject(cursor->reader->error, ERRCODE_STATEMENT_TOO_COMPLEX,
					  "%s is nested more than %d levels deep", cursor->reader->part, MAX_DEPTH);
}

/* Reject the text at the current token, in the server's words for the reason. */
static bool
syntax_error(JsonCursor *cursor, JsonParseErrorType reason)
{
	MemoryContext caller = MemoryContextSwitchTo(cursor->reader->scratch);
	bool		untranslatable = reason == JSON_UNICODE_CODE_POINT_ZERO ||
		reason == JSON_UNICODE_HIGH_ESCAPE;

	if (cursor->lex->token_type == JSON_TOKEN_END && reason != JSON_EXPECTED_END)
		reason = JSON_EXPECTED_MORE;
	WireReject(cursor->reader->error,
			   untranslatable ? ERRCODE_UNTRANSLATABLE_CHARACTER :
			   ERRCODE_INVALID_TEXT_REPRESENTATION,
			   "%s is not valid JSON: %s", cursor->reader->part,
			   json_errdetail(reason, cursor->lex));
	MemoryContextSwitchTo(caller);
	return false;
}

/* For what an input function raises. */
static void
column_context(void *arg)
{
	JsonReader *reader = arg;

	if (reader->column >= 0)
		errcontext("column \"%s\"", reader->columns[reader->column].name);
}

Jsonb *
JsonTextToJsonb(const char *text, int text_bytes)
{
	JsonReader	reader = {.part = "text", .scratch = CurrentMemoryContext};
	DecodeError error;
	JsonCursor	cursor;

	reader.error = &error;
	cursor_init(&cursor, &reader, text, text_bytes, true);
	if (!read_root(&cursor))
		return NULL;

	/* A number that numeric might not hold leaves it text: an error would help nobody */
	cursor_init(&cursor, &reader, text, text_bytes, false);
	while (next_token(&cursor) && cursor.lex->token_type != JSON_TOKEN_END)
	{
		const char *number = cursor.lex->token_start;
		const char *end = cursor.lex->token_terminator;

		if (cursor.lex->token_type != JSON_TOKEN_NUMBER)
			continue;
		if (end - number > MAX_NUMBER_BYTES)
			return NULL;
		while (number < end && *number != 'e' && *number != 'E')
			number++;
		if (end - number > MAX_EXPONENT_BYTES)
			return NULL;
	}
	return DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
											  CStringGetDatum(pnstrdup(text, text_bytes))));
}
