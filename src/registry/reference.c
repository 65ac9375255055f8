/*-------------------------------------------------------------------------
 *
 * reference.c
 *		How entries of the registry are named, and the schemas they get.
 *
 * Names are taken as they are written, like those of stores: there is no
 * folding and no quoting, which is why a name cannot hold what separates the
 * parts of a reference.
 *
 * Locks: none.
 * Must not know: whether there is such an entry.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "registry/reference.h"

#include <limits.h>

#include "common/int.h"
#include "utils/builtins.h"

#include "catalog/store.h"
#include "common/compat.h"
#include "common/guc.h"
#include "store/create.h"

#define SEPARATORS	".@:\"'` \t\r\n\v\f"

pg_noreturn static void
refuse_reference(const char *text)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_NAME),
			 errmsg("invalid reference: \"%s\"", text),
			 errhint("Write [project.]name, [project.]view@2 for a view version, [project.]view:feature for a feature.")));
	pg_unreachable();
}

/* A part of a reference that is a name. */
static char *
name_part(const char *text, const char *part, size_t length)
{
	char	   *name = pnstrdup(part, length);

	if (length == 0 || length >= NAMEDATALEN || strcspn(name, SEPARATORS) != length)
		refuse_reference(text);
	return name;
}

void
ReferenceParse(const char *text, Reference *reference)
{
	const char *feature = strchr(text, ':');
	const char *end = feature != NULL ? feature : text + strlen(text);
	const char *version = memchr(text, '@', end - text);
	const char *name_end = version != NULL ? version : end;
	const char *dot = memchr(text, '.', name_end - text);

	memset(reference, 0, sizeof(Reference));
	if (feature != NULL)
	{
		size_t		length = strlen(feature + 1);

		if (length == 0 || length >= NAMEDATALEN)
			refuse_reference(text);
		reference->feature = pstrdup(feature + 1);
	}
	if (version != NULL)
	{
		int32		number = 0;

		for (const char *digit = version + 1; digit < end; digit++)
			if (!isdigit((unsigned char) *digit) ||
				pg_mul_s32_overflow(number, 10, &number) ||
				pg_add_s32_overflow(number, *digit - '0', &number))
				refuse_reference(text);
		if (number == 0)
			refuse_reference(text);
		reference->view_version = number;
	}
	if (dot != NULL)
		reference->project = name_part(text, text, dot - text);
	reference->name = dot != NULL ? name_part(text, dot + 1, name_end - dot - 1) :
		name_part(text, text, name_end - text);
}

char *
ReferenceText(const Reference *reference)
{
	StringInfoData text;

	initStringInfo(&text);
	if (reference->project != NULL)
		appendStringInfo(&text, "%s.", reference->project);
	appendStringInfoString(&text, reference->name);
	if (reference->view_version > 0)
		appendStringInfo(&text, "@%d", reference->view_version);
	if (reference->feature != NULL)
		appendStringInfo(&text, ":%s", reference->feature);
	return text.data;
}

char *
QuotedNames(const List *names)
{
	StringInfoData text;
	const ListCell *cell;

	initStringInfo(&text);
	foreach(cell, names)
		appendStringInfo(&text, "%s\"%s\"", text.len > 0 ? ", " : "", (char *) lfirst(cell));
	return text.data;
}

const char *
CurrentProject(void)
{
	return Settings.project;
}

void
RegistryCheckName(const char *what, const char *name)
{
	size_t		length = strlen(name);
	const char *detail = NULL;

	if (length == 0 || length > STORE_NAME_MAX_BYTES)
		detail = psprintf("A name has 1 to %d bytes.", STORE_NAME_MAX_BYTES);
	else if (strcspn(name, SEPARATORS) != length)
		detail = "A name holds no \".\", \"@\", \":\", quotes or white space.";
	else if (name[0] == '_')
		detail = "Names that begin with \"_\" are for bookkeeping.";
	else if (StoreNameIsReserved(name))
		detail = "Endings like \"_v8\" and \"_history\" are for the schemas that belong to a store.";
	if (detail != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("invalid %s name: \"%s\"", what, name),
				 errdetail_internal("%s", detail)));
}

char *
RegistrySchemaName(const char *project, const char *name, int view_version)
{
	StringInfoData schema;

	initStringInfo(&schema);
	if (strcmp(project, DEFAULT_PROJECT) != 0)
		appendStringInfo(&schema, "%s_", project);
	appendStringInfoString(&schema, name);
	if (view_version > 1)
		appendStringInfo(&schema, "_at%d", view_version);
	if (schema.len > STORE_NAME_MAX_BYTES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("name of schema \"%s\" is too long", schema.data),
				 errdetail("It is made of those of project, view or service, and view version, and has at most %d bytes.",
						   STORE_NAME_MAX_BYTES),
				 errhint("Choose a shorter name.")));
	if (StoreNameIsReserved(schema.data))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("name of schema \"%s\" is reserved", schema.data),
				 errdetail("It is made of those of project, view or service, and view version. Endings like \"_v8\" and \"_history\" are for the schemas that belong to a store."),
				 errhint("Choose another name.")));
	return schema.data;
}
