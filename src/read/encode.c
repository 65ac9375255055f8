/*-------------------------------------------------------------------------
 *
 * encode.c
 *		Rows as bytes, in the server's binary COPY format.
 *
 * Every driver can read that format.  Types whose binary form is their own bytes
 * in another order are written here; the rest goes through the type's send
 * function, and so does text that the client wants in another encoding.
 *
 * Locks: none.
 * Must not know: stores.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "read/encode.h"

#include "access/transam.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "mb/pg_wchar.h"
#include "port/pg_bswap.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/uuid.h"

#include "common/compat.h"

typedef enum EncodeForm
{
	ENCODE_1,					/* so many bytes, passed by value */
	ENCODE_2,
	ENCODE_4,
	ENCODE_8,
	ENCODE_FIXED,				/* bytes as they are, of the type's length */
	ENCODE_BYTES,				/* a varlena's bytes as they are */
	ENCODE_ARRAY_4,				/* an array of elements of so many bytes */
	ENCODE_ARRAY_8,
	ENCODE_SEND					/* by the type's function */
} EncodeForm;

typedef struct ColumnEncoder
{
	AttrNumber	attribute;
	EncodeForm	form;
	int			length;			/* of the type */
	FmgrInfo	send;
} ColumnEncoder;

struct RowEncoder
{
	bool		is_stable;
	int			count;
	ColumnEncoder columns[FLEXIBLE_ARRAY_MEMBER];
};

static bool
is_servers_encoding(void)
{
	return pg_get_client_encoding() == GetDatabaseEncoding();
}

/* Is the type's form that of the server alone?  An enum's is its label, which may be renamed. */
static bool
is_stable(Oid type)
{
	Oid			element = get_element_type(type);

	if (OidIsValid(element))
		type = element;
	return type < FirstNormalObjectId && get_typtype(type) == TYPTYPE_BASE;
}

static EncodeForm
form_of(Oid type)
{
	switch (type)
	{
		case BOOLOID:
			return ENCODE_1;
		case INT2OID:
			return ENCODE_2;
		case INT4OID:
		case FLOAT4OID:
		case DATEOID:
			return ENCODE_4;
		case INT8OID:
		case FLOAT8OID:
		case TIMEOID:
		case TIMESTAMPOID:
		case TIMESTAMPTZOID:
			return ENCODE_8;
		case UUIDOID:
			return ENCODE_FIXED;
		case BYTEAOID:
			return ENCODE_BYTES;
		case TEXTOID:
		case VARCHAROID:
		case BPCHAROID:
			return is_servers_encoding() ? ENCODE_BYTES : ENCODE_SEND;
		case INT4ARRAYOID:
		case FLOAT4ARRAYOID:
			return ENCODE_ARRAY_4;
		case INT8ARRAYOID:
		case FLOAT8ARRAYOID:
			return ENCODE_ARRAY_8;
		default:
			return ENCODE_SEND;
	}
}

RowEncoder *
RowEncoderMake(MemoryContext context, TupleDesc table, const AttrNumber *attributes, int count)
{
	RowEncoder *encoder = MemoryContextAllocZero(context, offsetof(RowEncoder, columns) +
												 count * sizeof(ColumnEncoder));

	encoder->is_stable = is_servers_encoding();
	encoder->count = count;
	for (int i = 0; i < count; i++)
	{
		Form_pg_attribute attribute = TupleDescAttr(table, attributes[i] - 1);
		ColumnEncoder *column = &encoder->columns[i];
		Oid			type = getBaseType(attribute->atttypid);
		Oid			send;
		bool		is_varlena;

		column->attribute = attributes[i];
		column->form = form_of(type);
		column->length = attribute->attlen;
		getTypeBinaryOutputInfo(type, &send, &is_varlena);
		fmgr_info_cxt(send, &column->send, context);
		encoder->is_stable &= is_stable(type);
	}
	return encoder;
}

bool
RowEncoderIsStable(const RowEncoder *encoder)
{
	return encoder->is_stable;
}

AttrNumber *
RowEncoderAttributes(const RowEncoder *encoder, MemoryContext context, int *count)
{
	AttrNumber *attributes = MemoryContextAlloc(context, encoder->count * sizeof(AttrNumber));

	for (int i = 0; i < encoder->count; i++)
		attributes[i] = encoder->columns[i].attribute;
	*count = encoder->count;
	return attributes;
}

/* Room for so many more bytes, which the caller writes. */
static inline char *
extend(StringInfo bytes, int count)
{
	char	   *place;

	enlargeStringInfo(bytes, count);
	place = bytes->data + bytes->len;
	bytes->len += count;
	return place;
}

static inline void
put_16(char *place, uint16 value)
{
	value = pg_hton16(value);
	memcpy(place, &value, sizeof(value));
}

static inline void
put_32(char *place, uint32 value)
{
	value = pg_hton32(value);
	memcpy(place, &value, sizeof(value));
}

static inline void
put_64(char *place, uint64 value)
{
	value = pg_hton64(value);
	memcpy(place, &value, sizeof(value));
}

/* A field: its length and its bytes. */
static inline void
put_bytes(StringInfo bytes, const void *data, int length)
{
	char	   *place = extend(bytes, 4 + length);

	put_32(place, length);
	memcpy(place + 4, data, length);
}

/* As array_send does, for elements of 4 or 8 bytes without NULLs; false for others. */
static bool
put_array(StringInfo bytes, Datum value, int element_length)
{
	ArrayType  *array = DatumGetArrayTypeP(value);
	int			dimensions = ARR_NDIM(array);
	int			count = ArrayGetNItems(dimensions, ARR_DIMS(array));
	const char *element = ARR_DATA_PTR(array);
	char	   *place;
	int			length;
	bool		done = !ARR_HASNULL(array);

	if (done)
	{
		length = 12 + dimensions * 8 + count * (4 + element_length);
		place = extend(bytes, 4 + length);
		put_32(place, length);
		put_32(place + 4, dimensions);
		put_32(place + 8, 0);
		put_32(place + 12, ARR_ELEMTYPE(array));
		place += 16;
		for (int i = 0; i < dimensions; i++, place += 8)
		{
			put_32(place, ARR_DIMS(array)[i]);
			put_32(place + 4, ARR_LBOUND(array)[i]);
		}
		for (int i = 0; i < count; i++)
		{
			put_32(place, element_length);
			if (element_length == 4)
				put_32(place + 4, *(const uint32 *) element);
			else
				put_64(place + 4, *(const uint64 *) element);
			place += 4 + element_length;
			element += element_length;
		}
	}
	if ((Pointer) array != DatumGetPointer(value))
		pfree(array);
	return done;
}

static void
put_by_function(StringInfo bytes, ColumnEncoder *column, Datum value)
{
	bytea	   *sent = SendFunctionCall(&column->send, value);

	put_bytes(bytes, VARDATA(sent), VARSIZE(sent) - VARHDRSZ);
	pfree(sent);
}

static void
put_value(StringInfo bytes, ColumnEncoder *column, Datum value)
{
	char	   *place;

	switch (column->form)
	{
		case ENCODE_1:
			place = extend(bytes, 5);
			put_32(place, 1);
			place[4] = DatumGetBool(value) ? 1 : 0;
			break;
		case ENCODE_2:
			place = extend(bytes, 6);
			put_32(place, 2);
			put_16(place + 4, (uint16) DatumGetInt16(value));
			break;
		case ENCODE_4:
			place = extend(bytes, 8);
			put_32(place, 4);
			put_32(place + 4, (uint32) DatumGetInt32(value));
			break;
		case ENCODE_8:
			place = extend(bytes, 12);
			put_32(place, 8);
			put_64(place + 4, (uint64) DatumGetInt64(value));
			break;
		case ENCODE_FIXED:
			put_bytes(bytes, DatumGetPointer(value), column->length);
			break;
		case ENCODE_BYTES:
			{
				struct varlena *data = PG_DETOAST_DATUM_PACKED(value);

				put_bytes(bytes, VARDATA_ANY(data), VARSIZE_ANY_EXHDR(data));
				if ((Pointer) data != DatumGetPointer(value))
					pfree(data);
			}
			break;
		case ENCODE_ARRAY_4:
		case ENCODE_ARRAY_8:
			if (!put_array(bytes, value, column->form == ENCODE_ARRAY_4 ? 4 : 8))
				put_by_function(bytes, column, value);
			break;
		case ENCODE_SEND:
			put_by_function(bytes, column, value);
			break;
	}
}

void
RowEncode(const RowEncoder *encoder, const Datum *values, const bool *nulls, StringInfo bytes)
{
	put_16(extend(bytes, 2), encoder->count);
	for (int i = 0; i < encoder->count; i++)
	{
		ColumnEncoder *column = (ColumnEncoder *) &encoder->columns[i];
		int			index = column->attribute - 1;

		if (nulls[index])
			put_32(extend(bytes, 4), (uint32) -1);
		else
			put_value(bytes, column, values[index]);
	}
}

void
RowEncodeAbsent(StringInfo bytes)
{
	put_16(extend(bytes, 2), 0);
}

void
EncodeBegin(StringInfo bytes)
{
	static const char signature[] = "PGCOPY\n\377\r\n";

	/* With its final zero; then no flags and no extension. */
	appendBinaryStringInfo(bytes, signature, sizeof(signature));
	put_32(extend(bytes, 4), 0);
	put_32(extend(bytes, 4), 0);
}

void
EncodeEnd(StringInfo bytes)
{
	put_16(extend(bytes, 2), (uint16) -1);
}
