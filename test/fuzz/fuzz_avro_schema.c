/*-------------------------------------------------------------------------
 *
 * fuzz_avro_schema.c
 *		The input is a schema text.
 *
 *-------------------------------------------------------------------------
 */
#include "avro_fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static const uint8_t datum[64] = {0};
	char	   *text = malloc(bytes + 1);

	if (text == NULL)
		abort();
	memcpy(text, data, bytes);
	text[bytes] = '\0';
	FuzzPair(text, NULL, datum, sizeof(datum));
	free(text);
	return 0;
}
