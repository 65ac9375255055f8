/*-------------------------------------------------------------------------
 *
 * packed.h
 *		Which columns a packed row has.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_PACKED_H
#define VENICE_PACKED_H

#include "read/encode.h"

/* The encoder of a store's packed rows: its value columns, without keys and bookkeeping. */
extern RowEncoder *PackedEncoderMake(MemoryContext context, TupleDesc table,
									 const AttrNumber *keys, int key_count);

#endif							/* VENICE_PACKED_H */
