/*-------------------------------------------------------------------------
 *
 * decode_error.h
 *		Why a record or a schema could not be used, as a value.
 *
 * One bad record out of millions is an ordinary event that the caller counts
 * and stores, so decoders hand the reason back where SQL functions would
 * raise it.
 *
 * Must not know: the server.  The Avro core and its fuzz targets include it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_DECODE_ERROR_H
#define VENICE_DECODE_ERROR_H

typedef struct DecodeError
{
	int			sqlstate;		/* in MAKE_SQLSTATE form */
	char		message[512];	/* in the style of a primary message */
} DecodeError;

#endif							/* VENICE_DECODE_ERROR_H */
