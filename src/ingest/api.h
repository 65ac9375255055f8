/*-------------------------------------------------------------------------
 *
 * api.h
 *		How this library reaches venice.so.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_INGEST_INGEST_API_H
#define VENICE_INGEST_INGEST_API_H

#include "worker/ingest_api.h"

extern const IngestApi *api;

/* Load venice.so and check that it fits; raises 55000 if not. */
extern void IngestApiAttach(void);

#endif							/* VENICE_INGEST_INGEST_API_H */
