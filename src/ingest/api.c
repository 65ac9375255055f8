/*-------------------------------------------------------------------------
 *
 * api.c
 *		How this library reaches venice.so.
 *
 * The two are installed together, but a server that preloaded venice.so keeps
 * the old one until it restarts, while each worker loads what is on disk.
 *
 * Locks: none.
 * Must not know: what the functions do.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "ingest/api.h"

#include "fmgr.h"

PG_MODULE_MAGIC;

const IngestApi *api = NULL;

void
IngestApiAttach(void)
{
	const IngestApi *found;

	load_file("venice", false);
	found = *find_rendezvous_variable(INGEST_API_VARIABLE);
	if (found == NULL || found->version != INGEST_API_VERSION ||
		found->bytes != sizeof(IngestApi))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("libraries \"venice\" and \"venice_ingest\" do not belong together"),
				 errhint("Restart the server if venice was updated.")));
	api = found;
}
