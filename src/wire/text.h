/*-------------------------------------------------------------------------
 *
 * text.h
 *		Text that comes from a record, and text that says why it was rejected.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_WIRE_TEXT_H
#define VENICE_WIRE_TEXT_H

#include "postgres.h"

#include "common/decode_error.h"

/*
 * Turn *text, *text_bytes of UTF-8, into the server's encoding.  The result is
 * not NUL-terminated; it is the input where no conversion is needed, else it is
 * in CurrentMemoryContext.  False and *error, which names the part of the record
 * ("key", "value"), for what is not UTF-8 or holds a NUL (22021), and for what
 * the server's encoding lacks (22P05).
 */
extern bool WireTextToServer(const char **text, int *text_bytes, const char *part,
							 DecodeError *error);

/* Fill *error, cutting the message between characters to fit; returns false. */
extern bool WireReject(DecodeError *error, int sqlstate, const char *format,...)
			pg_attribute_printf(3, 4);

#endif							/* VENICE_WIRE_TEXT_H */
