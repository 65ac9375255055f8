/*-------------------------------------------------------------------------
 *
 * server_options.h
 *		How to reach a Kafka cluster: options of foreign servers and user mappings.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_SERVER_OPTIONS_H
#define VENICE_SERVER_OPTIONS_H

#include "nodes/pg_list.h"
#include "utils/palloc.h"

typedef struct ServerOption
{
	char	   *name;			/* librdkafka's, with dots */
	char	   *value;
} ServerOption;

/* Of a schema registry; members are NULL where nothing was said. */
typedef struct RegistryOptions
{
	char	   *url;			/* one or more base URLs, separated by commas */
	char	   *ca_pem;
	char	   *certificate_pem;
	char	   *key_pem;
	char	   *key_password;
	char	   *user;
	char	   *password;
	char	   *token;
} RegistryOptions;

typedef struct ServerOptions
{
	char	   *server;
	Oid			server_oid;
	Oid			mapping_role;	/* whose user mapping; InvalidOid: PUBLIC's, or none */
	bool		has_mapping;
	List	   *kafka;			/* of ServerOption */
	uint64		fingerprint;	/* of these: another after ALTER SERVER or USER MAPPING */
	RegistryOptions registry;
} ServerOptions;

/*
 * The options with which a role reaches a server: the server's, and those of the
 * role's user mapping, else PUBLIC's, else none.  Allocated in context.  42704 when
 * there is no such server, 42809 when it is not of venice_kafka.  Checks no right.
 */
extern ServerOptions *ServerOptionsGet(const char *server, Oid role, MemoryContext context);

/* Raise 42704 or 42809 as above, and 42501 unless the role has USAGE on the server. */
extern void ServerOptionsCheckUsage(const char *server, Oid role);

#endif							/* VENICE_SERVER_OPTIONS_H */
