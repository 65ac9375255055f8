/*-------------------------------------------------------------------------
 *
 * headers.h
 *		What venice says of a record in its headers, where it writes to topics.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_WIRE_HEADERS_H
#define VENICE_WIRE_HEADERS_H

/*
 * When a write was made, in microseconds since 1970 as decimal text; only where somebody
 * has said so: the record's own time is when it was produced.
 */
#define HEADER_LOGICAL_TIME	"venice_logical_time"

/* What the value is, if it is not the row: HEADER_UPDATE, a patch as JSON. */
#define HEADER_OPERATION	"venice_operation"
#define HEADER_UPDATE		"update"

/*
 * An incremental push, by its id, begins or ends on this partition: a record of its own,
 * without key or value.
 */
#define HEADER_PUSH_START	"venice_push_start"
#define HEADER_PUSH_END		"venice_push_end"

#endif							/* VENICE_WIRE_HEADERS_H */
