/*-------------------------------------------------------------------------
 *
 * send.h
 *		Large answers go to the client in one piece.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_SEND_H
#define VENICE_SEND_H

/* An answer of so many bytes is about to be sent; from the first large one on they go whole. */
extern void SendWhole(Size answer_bytes);

#endif							/* VENICE_SEND_H */
