/*-------------------------------------------------------------------------
 *
 * format.c
 *		The names of the formats, as users write them in a store's options.
 *
 * Locks: none.
 * Must not know: what the formats look like.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "wire/format.h"

static const char *const format_names[] = {
	[WIRE_CONFLUENT_AVRO] = "confluent-avro",
	[WIRE_AVRO] = "avro",
	[WIRE_JSON] = "json",
	[WIRE_TEXT] = "text",
	[WIRE_INT4] = "int4",
	[WIRE_INT8] = "int8",
	[WIRE_UUID] = "uuid",
	[WIRE_VALUE] = "value"
};

bool
WireFormatParse(const char *name, WireFormat *format)
{
	for (int i = 0; i < lengthof(format_names); i++)
	{
		if (strcmp(name, format_names[i]) == 0)
		{
			*format = (WireFormat) i;
			return true;
		}
	}
	return false;
}

const char *
WireFormatName(WireFormat format)
{
	return format_names[format];
}
