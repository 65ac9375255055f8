/*-------------------------------------------------------------------------
 *
 * fuzz_avro_datum.c
 *		The input is a datum, its first byte the pair of schemas to read it by.
 *
 *-------------------------------------------------------------------------
 */
#include "avro_fuzz.h"

#define PAIRS	(sizeof(pairs) / sizeof(pairs[0]))

/*
 * Writer's and reader's schema; NULL: as written.  Together they use everything there is.
 * The first ones are updates.
 */
#define UPDATES	2
static const char *const pairs[][2] = {
	{"{\"type\":\"record\",\"name\":\"U\",\"fields\":[{\"name\":\"a\",\"type\":["
		"{\"type\":\"record\",\"name\":\"NoOp\",\"fields\":[]},\"null\",\"int\"]},"
		"{\"name\":\"l\",\"type\":[\"NoOp\",{\"type\":\"record\",\"name\":\"lListOps\",\"fields\":["
		"{\"name\":\"setUnion\",\"type\":{\"type\":\"array\",\"items\":\"string\"}},"
		"{\"name\":\"setDiff\",\"type\":{\"type\":\"array\",\"items\":\"string\"}}]},"
		"{\"type\":\"array\",\"items\":\"string\"}]},"
		"{\"name\":\"m\",\"type\":[\"NoOp\",{\"type\":\"record\",\"name\":\"mMapOps\",\"fields\":["
		"{\"name\":\"mapUnion\",\"type\":{\"type\":\"map\",\"values\":\"int\"}},"
		"{\"name\":\"mapDiff\",\"type\":{\"type\":\"array\",\"items\":\"string\"}}]},"
	"{\"type\":\"map\",\"values\":\"int\"}]}]}", NULL},
	{"{\"type\":\"record\",\"name\":\"U\",\"fields\":[{\"name\":\"a\",\"type\":["
		"{\"type\":\"record\",\"name\":\"NoOp\",\"fields\":[]},\"string\",\"int\"]},"
		"{\"name\":\"l\",\"type\":[\"NoOp\",{\"type\":\"record\",\"name\":\"lListOps\",\"fields\":["
		"{\"name\":\"setDiff\",\"type\":{\"type\":\"array\",\"items\":\"int\"}}]}]}]}",
		"{\"type\":\"record\",\"name\":\"V\",\"fields\":[{\"name\":\"n\",\"type\":\"int\"},"
		"{\"name\":\"b\",\"aliases\":[\"a\"],\"type\":\"double\"},"
	"{\"name\":\"l\",\"type\":[\"null\",{\"type\":\"array\",\"items\":\"long\"}]}]}"},
	{"{\"type\":\"record\",\"name\":\"R\",\"fields\":["
		"{\"name\":\"a\",\"type\":\"boolean\"},{\"name\":\"b\",\"type\":\"int\"},"
		"{\"name\":\"c\",\"type\":\"long\"},{\"name\":\"d\",\"type\":\"float\"},"
		"{\"name\":\"e\",\"type\":\"double\"},{\"name\":\"f\",\"type\":\"bytes\"},"
		"{\"name\":\"g\",\"type\":\"string\"},{\"name\":\"h\",\"type\":\"null\"}]}",
	NULL},
	{"{\"type\":\"record\",\"name\":\"R\",\"fields\":["
		"{\"name\":\"b\",\"type\":\"int\"},{\"name\":\"c\",\"type\":\"long\"},"
		"{\"name\":\"d\",\"type\":\"float\"},{\"name\":\"f\",\"type\":\"bytes\"},"
		"{\"name\":\"g\",\"type\":\"string\"},{\"name\":\"x\",\"type\":{\"type\":\"array\","
		"\"items\":{\"type\":\"map\",\"values\":[\"null\",\"string\"]}}}]}",
		"{\"type\":\"record\",\"name\":\"R\",\"fields\":["
		"{\"name\":\"g\",\"type\":\"bytes\"},{\"name\":\"f\",\"type\":[\"null\",\"string\"]},"
		"{\"name\":\"b2\",\"type\":\"double\",\"aliases\":[\"b\"]},"
		"{\"name\":\"c\",\"type\":\"float\"},{\"name\":\"d\",\"type\":\"double\"},"
	"{\"name\":\"n\",\"type\":{\"type\":\"array\",\"items\":\"int\"},\"default\":[1,2]}]}"},
	{"{\"type\":\"record\",\"name\":\"L\",\"fields\":[{\"name\":\"v\",\"type\":\"int\"},"
		"{\"name\":\"next\",\"type\":[\"null\",\"L\"]},"
		"{\"name\":\"children\",\"type\":{\"type\":\"array\",\"items\":\"L\"}}]}",
		"{\"type\":\"record\",\"name\":\"L\",\"fields\":["
		"{\"name\":\"children\",\"type\":{\"type\":\"array\",\"items\":[\"null\",\"L\"]}},"
		"{\"name\":\"v\",\"type\":\"long\"},{\"name\":\"next\",\"type\":[\"L\",\"null\"]},"
		"{\"name\":\"w\",\"type\":[\"L\",\"null\"],"
	"\"default\":{\"v\":1,\"next\":null,\"children\":[],\"w\":null}}]}"},
	{"[\"null\",\"int\",\"string\",{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\"]},"
		"{\"type\":\"fixed\",\"name\":\"F\",\"size\":5},{\"type\":\"map\",\"values\":\"long\"}]",
	"[\"long\",{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"B\"],\"default\":\"B\"},\"bytes\"]"},
	{"{\"type\":\"array\",\"items\":\"null\"}", NULL},
	{"{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":{\"type\":\"record\","
		"\"name\":\"Z\",\"fields\":[]}}}",
		"{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":{\"type\":\"record\","
	"\"name\":\"Z\",\"fields\":[{\"name\":\"s\",\"type\":\"string\",\"default\":\"xyz\"}]}}}"},
	{"{\"type\":\"map\",\"values\":{\"type\":\"array\",\"items\":\"string\"}}", NULL},
	{"{\"type\":\"enum\",\"name\":\"E\",\"symbols\":[\"A\",\"B\",\"C\"]}",
	"{\"type\":\"enum\",\"name\":\"n.E\",\"symbols\":[\"C\",\"A\"]}"},
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
	static AvroArena arena;
	static const AvroSchema *writers[PAIRS];
	static const AvroPlan *plans[PAIRS];
	uint64_t	sum;
	size_t		i;

	for (i = 0; plans[PAIRS - 1] == NULL && i < PAIRS; i++)
	{
		AvroNames	writer_names = {0};
		AvroNames	reader_names = {0};
		DecodeError error;
		const AvroSchema *reader;

		reader = writers[i] = AvroSchemaParse(pairs[i][0], &writer_names, &arena, &error);
		if (pairs[i][1] != NULL)
			reader = AvroSchemaParse(pairs[i][1], &reader_names, &arena, &error);
		plans[i] = writers[i] == NULL || reader == NULL ? NULL :
			i < UPDATES ? AvroResolveUpdate(writers[i], reader, &arena, &error) :
			AvroResolve(writers[i], reader, &arena, &error);
		if (plans[i] == NULL)
			abort();
	}
	if (bytes > 0)
		(void) FuzzDecode(writers[data[0] % PAIRS], plans[data[0] % PAIRS], data + 1, bytes - 1,
						  &sum);
	return 0;
}
