/*-------------------------------------------------------------------------
 *
 * server_options.c
 *		How to reach a Kafka cluster: options of foreign servers and user mappings.
 *
 * Foreign servers give us, for nothing, owners, USAGE, dumps and the hiding of
 * secrets.  Options are librdkafka's properties, named with "_" for ".", but only
 * those of the list below: some properties run a command or load a library in the
 * server, others read its files, and several are ours to set.  Those that read
 * files are for superusers; those that run code are not there at all.
 *
 * Locks: none beyond catalog look-ups.
 * Must not know: librdkafka; a property's value is checked by it when a worker
 * connects, except where a wrong one is certain to be wrong.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/server_options.h"

#include <ctype.h>

#include "access/htup_details.h"
#include "access/reloptions.h"
#include "catalog/pg_foreign_data_wrapper.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/syscache.h"

#include "common/compat.h"
#include "common/item_list.h"

PG_FUNCTION_INFO_V1(venice_kafka_validator);

typedef enum OptionPlace
{
	ON_SERVER,
	ON_MAPPING
} OptionPlace;

typedef enum OptionCheck
{
	CHECK_NONE,
	CHECK_BROKERS,				/* host or host:port, separated by commas */
	CHECK_URLS,					/* http or https, separated by commas */
	CHECK_BOOL,
	CHECK_NUMBER,
	CHECK_CHOICE
} OptionCheck;

typedef struct ServerOptionDefinition
{
	const char *name;
	OptionPlace place;
	const char *property;		/* librdkafka's, or NULL: the registry's */
	OptionCheck check;
	bool		superuser;		/* it reads a file of the server */
	const char *const *choices; /* of CHECK_CHOICE, NULL-terminated */
} ServerOptionDefinition;

static const char *const address_families[] = {"any", "v4", "v6", NULL};
static const char *const dns_lookups[] = {
	"use_all_dns_ips", "resolve_canonical_bootstrap_servers_only", NULL
};
static const char *const identifications[] = {"https", "none", NULL};
static const char *const protocols[] = {"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL", NULL};

/* OAUTHBEARER would need somebody who fetches tokens. */
static const char *const mechanisms[] = {
	"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "GSSAPI", NULL
};

/* In alphabetical order within a place, as the error for an unknown name lists them. */
static const ServerOptionDefinition definitions[] = {
	{"bootstrap_servers", ON_SERVER, "bootstrap.servers", CHECK_BROKERS},
	{"broker_address_family", ON_SERVER, "broker.address.family", CHECK_CHOICE, false,
	address_families},
	{"client_dns_lookup", ON_SERVER, "client.dns.lookup", CHECK_CHOICE, false, dns_lookups},
	{"client_rack", ON_SERVER, "client.rack"},
	{"enable_ssl_certificate_verification", ON_SERVER, "enable.ssl.certificate.verification",
	CHECK_BOOL},
	{"group_id", ON_SERVER, "group.id"},
	{"sasl_kerberos_service_name", ON_SERVER, "sasl.kerberos.service.name"},
	{"sasl_mechanism", ON_SERVER, "sasl.mechanism", CHECK_CHOICE, false, mechanisms},
	{"sasl_mechanisms", ON_SERVER, "sasl.mechanisms", CHECK_CHOICE, false, mechanisms},
	{"schema_registry_ca_pem", ON_SERVER, NULL},
	{"schema_registry_certificate_pem", ON_SERVER, NULL},
	{"schema_registry_url", ON_SERVER, NULL, CHECK_URLS},
	{"security_protocol", ON_SERVER, "security.protocol", CHECK_CHOICE, false, protocols},
	{"socket_connection_setup_timeout_ms", ON_SERVER, "socket.connection.setup.timeout.ms",
	CHECK_NUMBER},
	{"socket_keepalive_enable", ON_SERVER, "socket.keepalive.enable", CHECK_BOOL},
	{"socket_timeout_ms", ON_SERVER, "socket.timeout.ms", CHECK_NUMBER},
	{"ssl_ca_location", ON_SERVER, "ssl.ca.location", CHECK_NONE, true},
	{"ssl_ca_pem", ON_SERVER, "ssl.ca.pem"},
	{"ssl_certificate_location", ON_SERVER, "ssl.certificate.location", CHECK_NONE, true},
	{"ssl_certificate_pem", ON_SERVER, "ssl.certificate.pem"},
	{"ssl_cipher_suites", ON_SERVER, "ssl.cipher.suites"},
	{"ssl_crl_location", ON_SERVER, "ssl.crl.location", CHECK_NONE, true},
	{"ssl_endpoint_identification_algorithm", ON_SERVER, "ssl.endpoint.identification.algorithm",
	CHECK_CHOICE, false, identifications},
	{"ssl_key_location", ON_SERVER, "ssl.key.location", CHECK_NONE, true},
	{"ssl_sigalgs_list", ON_SERVER, "ssl.sigalgs.list"},
	{"sasl_password", ON_MAPPING, "sasl.password"},
	{"sasl_username", ON_MAPPING, "sasl.username"},
	{"schema_registry_key_password", ON_MAPPING, NULL},
	{"schema_registry_key_pem", ON_MAPPING, NULL},
	{"schema_registry_password", ON_MAPPING, NULL},
	{"schema_registry_token", ON_MAPPING, NULL},
	{"schema_registry_user", ON_MAPPING, NULL},
	{"ssl_key_password", ON_MAPPING, "ssl.key.password"},
	{"ssl_key_pem", ON_MAPPING, "ssl.key.pem"},
};

static const ServerOptionDefinition *
find_definition(const char *name)
{
	for (int i = 0; i < lengthof(definitions); i++)
		if (strcmp(definitions[i].name, name) == 0)
			return &definitions[i];
	return NULL;
}

pg_noreturn static void
refuse_name(const char *name, OptionPlace place)
{
	const ServerOptionDefinition *elsewhere = find_definition(name);
	StringInfoData list;

	if (elsewhere != NULL && place == ON_SERVER)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("option \"%s\" is a secret and does not belong to a server", name),
				 errhint("Everybody may read a server's options. "
						 "Use CREATE USER MAPPING ... OPTIONS (%s '...').", name)));
	initStringInfo(&list);
	for (int i = 0; i < lengthof(definitions); i++)
		if (definitions[i].place == place)
			ItemListAppend(&list, "%s", definitions[i].name);
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("invalid option \"%s\"", name),
			 errhint("Valid options for a %s are: %s.",
					 place == ON_SERVER ? "server" : "user mapping", list.data)));
	pg_unreachable();
}

pg_noreturn static void
refuse_value(const char *name, const char *wanted)
{
	/* The value is not repeated: it might be a secret in the wrong place. */
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid value for option \"%s\"", name),
			 errhint("It takes %s.", wanted)));
	pg_unreachable();
}

/* "host", "host:port" or "[address]:port", separated by commas. */
static bool
are_brokers(const char *value)
{
	for (const char *broker = value; broker != NULL;)
	{
		int			bytes;
		const char *port;

		broker += strspn(broker, " ");
		bytes = (int) strcspn(broker, ", ");
		port = broker[0] == '[' ? strchr(broker, ']') : broker;
		if (bytes == 0 || port == NULL)
			return false;
		port += strcspn(port, ":, ");
		if (port == broker)
			return false;
		if (*port == ':')
		{
			char	   *end;
			long		number = strtol(port + 1, &end, 10);

			if (!isdigit((unsigned char) port[1]) || end != broker + bytes ||
				number < 1 || number > 65535)
				return false;
		}
		broker += bytes;
		broker += strspn(broker, " ");
		if (*broker != ',' && *broker != '\0')
			return false;
		broker = *broker == ',' ? broker + 1 : NULL;
	}
	return true;
}

static char *
list_choices(const char *const *choices)
{
	StringInfoData list;

	initStringInfo(&list);
	for (int i = 0; choices[i] != NULL; i++)
		appendStringInfo(&list, "%s%s", i == 0 ? "" : choices[i + 1] ? ", " : " or ", choices[i]);
	return list.data;
}

static void
check_value(const ServerOptionDefinition *definition, const char *value)
{
	bool		valid = false;

	switch (definition->check)
	{
		case CHECK_NONE:
			if (value[0] == '\0')
				refuse_value(definition->name, "a value that is not empty");
			break;
		case CHECK_BROKERS:
			if (!are_brokers(value))
				refuse_value(definition->name, "brokers as host:port, separated by commas");
			break;
		case CHECK_URLS:
			for (const char *url = value; url != NULL;)
			{
				url += strspn(url, " ");
				if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0)
					refuse_value(definition->name, "http or https URLs, separated by commas");
				if (strchr(url, '@') != NULL)
					refuse_value(definition->name, "URLs without a user and password, "
								 "which belong into the user mapping");
				url = strchr(url, ',');
				if (url != NULL)
					url++;
			}
			break;
		case CHECK_BOOL:
			if (strcmp(value, "true") != 0 && strcmp(value, "false") != 0)
				refuse_value(definition->name, "true or false");
			break;
		case CHECK_NUMBER:
			if (value[0] == '\0' || value[strspn(value, "0123456789")] != '\0' || strlen(value) > 9)
				refuse_value(definition->name, "a number of milliseconds");
			break;
		case CHECK_CHOICE:
			for (int i = 0; definition->choices[i] != NULL; i++)
				valid |= pg_strcasecmp(definition->choices[i], value) == 0;
			if (!valid)
				refuse_value(definition->name, list_choices(definition->choices));
			break;
	}
}

pg_noreturn static void
refuse_right(const char *name, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to set option \"%s\"", name),
			 errdetail("%s", detail),
			 errhint("%s", hint)));
	pg_unreachable();
}

/*
 * venice_kafka_validator
 *		kafka_validator(options text[], catalog oid), called by core's DDL.
 */
Datum
venice_kafka_validator(PG_FUNCTION_ARGS)
{
	List	   *options = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid			catalog = PG_GETARG_OID(1);
	OptionPlace place = catalog == UserMappingRelationId ? ON_MAPPING : ON_SERVER;
	bool		has_servers = false;
	bool		has_mechanism = false;
	bool		wants_mechanism = false;
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = lfirst(cell);
		const ServerOptionDefinition *definition = find_definition(option->defname);

		if (catalog != ForeignServerRelationId && catalog != UserMappingRelationId)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("invalid option \"%s\"", option->defname),
					 errhint("Only servers and user mappings of venice_kafka take options.")));
		if (definition == NULL || definition->place != place)
			refuse_name(option->defname, place);
		if (definition->superuser && !superuser())
			refuse_right(option->defname,
						 "It makes the server read a file, which is a superuser's to allow.",
						 "Give the certificate itself, with an option that ends in \"_pem\".");
		if (definition->choices == mechanisms)
		{
			has_mechanism = true;
			if (pg_strcasecmp(defGetString(option), "GSSAPI") == 0 && !superuser())
				refuse_right(option->defname,
							 "With GSSAPI the server's own tickets are used, which is a "
							 "superuser's to allow.",
							 "Use a mechanism with a password, or ask a superuser.");
		}
		if (definition->choices == protocols)
			wants_mechanism = pg_strncasecmp(defGetString(option), "SASL", 4) == 0;
		check_value(definition, defGetString(option));
		has_servers |= strcmp(option->defname, "bootstrap_servers") == 0;
	}
	if (catalog == ForeignServerRelationId && !has_servers)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("option \"bootstrap_servers\" is required"),
				 errhint("For example OPTIONS (bootstrap_servers 'broker1:9092,broker2:9092').")));
	/* The library's default is GSSAPI. */
	if (wants_mechanism && !has_mechanism)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_DYNAMIC_PARAMETER_VALUE_NEEDED),
				 errmsg("option \"sasl_mechanism\" is required with a \"security_protocol\" of SASL"),
				 errhint("It takes %s.", list_choices(mechanisms))));
	PG_RETURN_VOID();
}

static ForeignServer *
get_server(const char *name)
{
	ForeignServer *server = GetForeignServerByName(name, true);

	if (server == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("server \"%s\" does not exist", name),
				 errhint("Make it with CREATE SERVER ... FOREIGN DATA WRAPPER venice_kafka.")));
	if (strcmp(GetForeignDataWrapper(server->fdwid)->fdwname, "venice_kafka") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("server \"%s\" is not of foreign-data wrapper venice_kafka", name)));
	return server;
}

void
ServerOptionsCheckUsage(const char *server, Oid role)
{
	AclResult	acl = object_aclcheck(ForeignServerRelationId, get_server(server)->serverid, role,
									  ACL_USAGE);

	if (acl != ACLCHECK_OK)
		aclcheck_error(acl, OBJECT_FOREIGN_SERVER, server);
}

/* Options of the user mapping, without the error that core raises where there is none. */
static List *
mapping_options(Oid role, Oid server, bool *found)
{
	HeapTuple	tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(role),
										ObjectIdGetDatum(server));
	Datum		options;
	bool		is_null;
	List	   *result = NIL;

	*found = HeapTupleIsValid(tuple);
	if (!*found)
		return NIL;
	options = SysCacheGetAttr(USERMAPPINGUSERSERVER, tuple, Anum_pg_user_mapping_umoptions,
							  &is_null);
	if (!is_null)
		result = untransformRelOptions(options);
	ReleaseSysCache(tuple);
	return result;
}

static void
set_registry_option(RegistryOptions *registry, const char *name, char *value)
{
	const struct
	{
		const char *name;
		char	  **member;
	}			members[] = {
		{"schema_registry_url", &registry->url},
		{"schema_registry_ca_pem", &registry->ca_pem},
		{"schema_registry_certificate_pem", &registry->certificate_pem},
		{"schema_registry_key_pem", &registry->key_pem},
		{"schema_registry_key_password", &registry->key_password},
		{"schema_registry_user", &registry->user},
		{"schema_registry_password", &registry->password},
		{"schema_registry_token", &registry->token},
	};

	for (int i = 0; i < lengthof(members); i++)
		if (strcmp(members[i].name, name) == 0)
			*members[i].member = value;
}

static uint64
hash_text(const char *text)
{
	return DatumGetUInt64(hash_any_extended((const unsigned char *) text, strlen(text), 0));
}

ServerOptions *
ServerOptionsGet(const char *server, Oid role, MemoryContext context)
{
	MemoryContext old;
	ForeignServer *foreign_server = get_server(server);
	ServerOptions *result;
	List	   *options;
	ListCell   *cell;

	old = MemoryContextSwitchTo(context);
	result = palloc0(sizeof(ServerOptions));
	result->server = pstrdup(server);
	result->server_oid = foreign_server->serverid;
	result->mapping_role = role;
	options = mapping_options(role, foreign_server->serverid, &result->has_mapping);
	if (!result->has_mapping)
	{
		result->mapping_role = InvalidOid;
		options = mapping_options(InvalidOid, foreign_server->serverid, &result->has_mapping);
	}

	foreach(cell, list_concat(list_copy(foreign_server->options), options))
	{
		DefElem    *element = lfirst(cell);
		const ServerOptionDefinition *definition = find_definition(element->defname);

		if (definition == NULL)
			continue;
		if (definition->property != NULL)
		{
			ServerOption *option = palloc(sizeof(ServerOption));

			option->name = pstrdup(definition->property);
			option->value = pstrdup(defGetString(element));
			result->kafka = lappend(result->kafka, option);
			result->fingerprint = hash_combine64(result->fingerprint, hash_text(option->name));
			result->fingerprint = hash_combine64(result->fingerprint, hash_text(option->value));
		}
		else
			set_registry_option(&result->registry, definition->name,
								pstrdup(defGetString(element)));
	}
	MemoryContextSwitchTo(old);
	return result;
}
