/*-------------------------------------------------------------------------
 *
 * fuzz_avro_pair.c
 *		The input is three lines: the writer's schema, the reader's, the datum.
 *
 *-------------------------------------------------------------------------
 */
#include "avro_fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	char	   *text = malloc(bytes + 1);
	char	   *reader;
	char	   *datum;

	if (text == NULL)
		abort();
	memcpy(text, data, bytes);
	text[bytes] = '\0';
	reader = memchr(text, '\n', bytes);
	datum = reader != NULL ? memchr(reader + 1, '\n', bytes - (reader + 1 - text)) : NULL;
	if (datum != NULL)
	{
		*reader++ = '\0';
		*datum++ = '\0';
		FuzzPair(text, reader, (const uint8_t *) datum, bytes - (datum - text));
	}
	free(text);
	return 0;
}
