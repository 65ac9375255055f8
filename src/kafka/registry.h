/*-------------------------------------------------------------------------
 *
 * registry.h
 *		Schemas from a Confluent schema registry.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_KAFKA_REGISTRY_H
#define VENICE_KAFKA_REGISTRY_H

#include "postgres.h"

#include "utils/palloc.h"

#include "common/server_options.h"
#include "kafka/client.h"

typedef enum RegistryAnswer
{
	REGISTRY_FOUND,
	REGISTRY_NOT_FOUND,			/* no such schema, or not Avro, or beyond our limits */
	REGISTRY_REFUSED,			/* it does not let us in */
	REGISTRY_UNAVAILABLE		/* ask again later */
} RegistryAnswer;

/*
 * Fetch a schema and, recursively, what it refers to: *texts in context, references
 * before those that refer to them, the schema itself last.  Otherwise *problem says
 * why, without secrets.  Takes at most ten seconds, in slices between which
 * interrupts are served; must not be called in a transaction.
 */
extern RegistryAnswer RegistryFetchSchema(const RegistryOptions *options, int32 schema_id,
										  MemoryContext context, char ***texts, int *ntexts,
										  KafkaProblem *problem);

/*
 * The id of a schema that a subject has, or is given: REGISTRY_REFUSED if the registry does
 * not take it.  As above, but twice as long.
 */
extern RegistryAnswer RegistryRegisterSchema(const RegistryOptions *options, const char *subject,
											 const char *text, int32 *schema_id,
											 KafkaProblem *problem);

/* Is it there, and does it let us in?  As above. */
extern RegistryAnswer RegistryCheck(const RegistryOptions *options, KafkaProblem *problem);

#endif							/* VENICE_KAFKA_REGISTRY_H */
