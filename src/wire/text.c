/*-------------------------------------------------------------------------
 *
 * text.c
 *		Text crosses the border here: it comes in as UTF-8, whatever the
 *		server's encoding is, and reasons for rejecting it go out cut to fit.
 *
 * Locks: none.
 * Must not know: what the text means.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "wire/text.h"

#include "catalog/namespace.h"
#include "mb/pg_wchar.h"

bool
WireTextToServer(const char **text, int *text_bytes, const char *part, DecodeError *error)
{
	int			encoding = GetDatabaseEncoding();
	Oid			conversion;
	int64		server_bytes;
	char	   *server_text;

	if (!pg_verify_mbstr(PG_UTF8, *text, *text_bytes, true))
		return WireReject(error, ERRCODE_CHARACTER_NOT_IN_REPERTOIRE,
						  "%s is not UTF-8 text, or holds a NUL character", part);
	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII || *text_bytes == 0)
		return true;

	conversion = FindDefaultConversionProc(PG_UTF8, encoding);
	if (!OidIsValid(conversion))
		return WireReject(error, ERRCODE_UNDEFINED_FUNCTION,
						  "default conversion function for encoding \"UTF8\" to \"%s\" does not exist",
						  pg_encoding_to_char(encoding));
	server_bytes = (int64) *text_bytes * MAX_CONVERSION_GROWTH + 1;
	server_text = MemoryContextAllocHuge(CurrentMemoryContext, server_bytes);
	if (pg_do_encoding_conversion_buf(conversion, PG_UTF8, encoding,
									  (unsigned char *) unconstify(char *, *text), *text_bytes,
									  (unsigned char *) server_text,
									  (int) Min(server_bytes, PG_INT32_MAX),
									  true) != *text_bytes)
		return WireReject(error, ERRCODE_UNTRANSLATABLE_CHARACTER,
						  "%s has a character that encoding \"%s\" lacks", part,
						  pg_encoding_to_char(encoding));
	*text = server_text;
	*text_bytes = strlen(server_text);
	return true;
}

bool
WireReject(DecodeError *error, int sqlstate, const char *format,...)
{
	va_list		args;
	size_t		message_bytes;

	va_start(args, format);
	message_bytes = vsnprintf(error->message, sizeof(error->message), format, args);
	va_end(args);

	if (message_bytes >= sizeof(error->message))
	{
		message_bytes = sizeof(error->message) - 1;
		error->message[pg_mbcliplen(error->message, message_bytes, message_bytes)] = '\0';
	}
	error->sqlstate = sqlstate;
	return false;
}
