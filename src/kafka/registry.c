/*-------------------------------------------------------------------------
 *
 * registry.c
 *		Schemas from a Confluent schema registry.
 *
 * libcurl's multi interface, turned by hand in short slices, so that interrupts
 * are served while a registry does not answer.  What comes back is somebody
 * else's text: bounded in size, in depth of references and in their number.
 *
 * Locks: none.
 * Must not know: what a schema means, where schemas are kept.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "kafka/registry.h"

#include <curl/curl.h>
#include <jansson.h>

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "utils/memutils.h"

#define CONNECT_TIMEOUT_MS	2000
#define REQUEST_TIMEOUT_MS	5000
#define TOTAL_TIMEOUT_MS	10000
#define SLICE_MS			50
#define MAX_RESPONSE_BYTES	(8 * 1024 * 1024)
#define MAX_REFERENCE_DEPTH 16
#define MAX_TEXTS			256

typedef struct Response
{
	char	   *data;			/* malloc'd: written to from within libcurl */
	size_t		bytes;
	bool		too_large;
} Response;

/* One look-up, over all its requests. */
typedef struct Fetch
{
	const RegistryOptions *options;
	MemoryContext context;
	instr_time	start;
	KafkaProblem *problem;
	CURLM	   *multi;
	CURL	   *easy;
	struct curl_slist *headers;
	char	   *post;			/* what is sent; NULL: nothing, only asked for */
	char		curl_error[CURL_ERROR_SIZE];
	Response	response;
	json_t	   *bodies[MAX_REFERENCE_DEPTH + 1];	/* of the schemas that are being worked on */
	char	  **texts;
	char	  **names;			/* "subject/version" of each, NULL for the schema itself */
	int			ntexts;
	int32		schema_id;		/* that a POST was answered with */
} Fetch;

static size_t
on_data(char *data, size_t size, size_t count, void *argument)
{
	Response   *response = argument;
	size_t		bytes = size * count;
	char	   *larger;

	if (response->bytes + bytes > MAX_RESPONSE_BYTES)
	{
		response->too_large = true;
		return 0;
	}
	larger = realloc(response->data, response->bytes + bytes + 1);
	if (larger == NULL)
		return 0;
	memcpy(larger + response->bytes, data, bytes);
	response->data = larger;
	response->bytes += bytes;
	response->data[response->bytes] = '\0';
	return bytes;
}

static void
set_problem(KafkaProblem *problem, int sqlstate, bool transient, const char *format,...)
			pg_attribute_printf(4, 5);

static void
set_problem(KafkaProblem *problem, int sqlstate, bool transient, const char *format,...)
{
	va_list		args;

	problem->sqlstate = sqlstate;
	problem->transient = transient;
	va_start(args, format);
	vsnprintf(problem->message, sizeof(problem->message), format, args);
	va_end(args);
}

static void
set_blob(CURL *easy, CURLoption option, const char *pem)
{
	struct curl_blob blob;

	if (pem == NULL)
		return;
	blob.data = unconstify(char *, pem);
	blob.len = strlen(pem);
	blob.flags = CURL_BLOB_COPY;
	curl_easy_setopt(easy, option, &blob);
}

static void
prepare(Fetch *fetch)
{
	const RegistryOptions *options = fetch->options;
	CURL	   *easy = fetch->easy;

	fetch->headers = curl_slist_append(NULL, "Accept: application/vnd.schemaregistry.v1+json, "
									   "application/json");
	if (fetch->post != NULL)
	{
		fetch->headers = curl_slist_append(fetch->headers, "Content-Type: application/vnd.schemaregistry.v1+json");
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, fetch->post);
	}
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, fetch->headers);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, fetch->curl_error);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, &fetch->response);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long) CONNECT_TIMEOUT_MS);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long) REQUEST_TIMEOUT_MS);
	/* A redirection could lead the credentials, or the request itself, anywhere. */
	curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
#if LIBCURL_VERSION_NUM >= 0x075500
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS, (long) (CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	if (options->token != NULL)
	{
		curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long) CURLAUTH_BEARER);
		curl_easy_setopt(easy, CURLOPT_XOAUTH2_BEARER, options->token);
	}
	else if (options->user != NULL)
	{
		curl_easy_setopt(easy, CURLOPT_HTTPAUTH, (long) CURLAUTH_BASIC);
		curl_easy_setopt(easy, CURLOPT_USERNAME, options->user);
		curl_easy_setopt(easy, CURLOPT_PASSWORD, options->password ? options->password : "");
	}
	set_blob(easy, CURLOPT_CAINFO_BLOB, options->ca_pem);
	set_blob(easy, CURLOPT_SSLCERT_BLOB, options->certificate_pem);
	set_blob(easy, CURLOPT_SSLKEY_BLOB, options->key_pem);
	if (options->key_password != NULL)
		curl_easy_setopt(easy, CURLOPT_KEYPASSWD, options->key_password);
}

static double
elapsed_ms(const Fetch *fetch)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	INSTR_TIME_SUBTRACT(now, fetch->start);
	return INSTR_TIME_GET_MILLISEC(now);
}

/*
 * GET one URL, or POST to it; the body is in fetch->response.  Returns the HTTP status, or 0
 * and the problem.
 */
static long
get_url(Fetch *fetch, const char *url)
{
	CURLcode	code = CURLE_OPERATION_TIMEDOUT;
	long		status = 0;
	int			running = 1;

	free(fetch->response.data);
	memset(&fetch->response, 0, sizeof(Response));
	fetch->curl_error[0] = '\0';
	curl_easy_setopt(fetch->easy, CURLOPT_URL, url);
	curl_multi_add_handle(fetch->multi, fetch->easy);
	while (running > 0 && elapsed_ms(fetch) < TOTAL_TIMEOUT_MS)
	{
		CHECK_FOR_INTERRUPTS();
		if (curl_multi_perform(fetch->multi, &running) != CURLM_OK)
			break;
		if (running > 0)
			(void) curl_multi_poll(fetch->multi, NULL, 0, SLICE_MS, NULL);
	}
	if (running == 0)
	{
		int			left;
		CURLMsg    *message = curl_multi_info_read(fetch->multi, &left);

		if (message != NULL && message->msg == CURLMSG_DONE)
			code = message->data.result;
	}
	curl_multi_remove_handle(fetch->multi, fetch->easy);

	if (code == CURLE_OK)
	{
		curl_easy_getinfo(fetch->easy, CURLINFO_RESPONSE_CODE, &status);
		return status;
	}
	if (fetch->response.too_large)
		set_problem(fetch->problem, ERRCODE_PROGRAM_LIMIT_EXCEEDED, false,
					"schema registry sent more than %d bytes", MAX_RESPONSE_BYTES);
	else
		set_problem(fetch->problem, ERRCODE_CONNECTION_FAILURE, true,
					"could not reach schema registry: %s",
					fetch->curl_error[0] != '\0' ? fetch->curl_error : curl_easy_strerror(code));
	return 0;
}

/* "base/path" for the n-th of the comma-separated base URLs; NULL when there are fewer. */
static char *
make_url(const char *bases, int n, const char *path)
{
	const char *start = bases;
	const char *end;

	for (int i = 0; i < n; i++)
	{
		start = strchr(start, ',');
		if (start == NULL)
			return NULL;
		start++;
	}
	start += strspn(start, " ");
	end = start + strcspn(start, ", ");
	while (end > start && end[-1] == '/')
		end--;
	return psprintf("%.*s%s", (int) (end - start), start, path);
}

/*
 * Is it the registry that says it has no such thing?  Its error codes are 404xx;
 * a bare 404 is the answer of any web server to a URL that is wrong.
 */
static bool
is_not_found(const Response *response)
{
	json_t	   *body = json_loadb(response->data ? response->data : "", response->bytes, 0, NULL);
	json_int_t	code = json_integer_value(json_object_get(body, "error_code"));

	json_decref(body);
	return code >= 40400 && code <= 40499;
}

/* It does not take a schema: one that is not compatible with the subject's, for example. */
static void
describe_refusal(Fetch *fetch)
{
	json_t	   *body = json_loadb(fetch->response.data ? fetch->response.data : "",
								  fetch->response.bytes, 0, NULL);
	const char *message = json_string_value(json_object_get(body, "message"));

	set_problem(fetch->problem, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, true,
				"schema registry refused the schema: %.400s", message ? message : "no reason given");
	json_decref(body);
}

/*
 * GET a path, or POST to it, at the first base URL that answers.  On REGISTRY_FOUND *body is the
 * answer, for the caller to free.
 */
static RegistryAnswer
get_path(Fetch *fetch, const char *path, json_t **body)
{
	char	   *url;
	json_error_t error;

	for (int n = 0; (url = make_url(fetch->options->url, n, path)) != NULL; n++)
	{
		long		status = get_url(fetch, url);

		switch (status)
		{
			case 0:
				if (fetch->response.too_large)
					return REGISTRY_NOT_FOUND;
				break;
			case 200:
				*body = json_loadb(fetch->response.data ? fetch->response.data : "",
								   fetch->response.bytes, 0, &error);
				if (*body != NULL)
					return REGISTRY_FOUND;
				set_problem(fetch->problem, ERRCODE_CONNECTION_FAILURE, true,
							"schema registry sent something that is not JSON: %s", error.text);
				break;
			case 404:
				if (is_not_found(&fetch->response))
				{
					set_problem(fetch->problem, ERRCODE_UNDEFINED_OBJECT, false,
								"schema registry has no \"%s\"", path);
					return REGISTRY_NOT_FOUND;
				}
				set_problem(fetch->problem, ERRCODE_CONNECTION_FAILURE, true,
							"schema registry does not know the path of \"%s\" (HTTP status 404)",
							url);
				break;
			case 401:
			case 403:
				set_problem(fetch->problem, ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, true,
							"schema registry refused the credentials (HTTP status %ld)", status);
				return REGISTRY_REFUSED;
			case 409:
			case 422:
				describe_refusal(fetch);
				return REGISTRY_REFUSED;
			default:
				set_problem(fetch->problem, ERRCODE_CONNECTION_FAILURE, true,
							"schema registry answered with HTTP status %ld", status);
		}
	}
	return REGISTRY_UNAVAILABLE;
}

static RegistryAnswer add_schema(Fetch *fetch, const char *path, const char *name, int depth);

static RegistryAnswer
add_references(Fetch *fetch, json_t *references, int depth)
{
	size_t		index;
	json_t	   *reference;

	json_array_foreach(references, index, reference)
	{
		const char *subject = json_string_value(json_object_get(reference, "subject"));
		json_int_t	version = json_integer_value(json_object_get(reference, "version"));
		char	   *escaped;
		char	   *path;
		char	   *name;
		bool		known = false;
		RegistryAnswer answer;

		if (subject == NULL || version <= 0)
		{
			set_problem(fetch->problem, ERRCODE_CONNECTION_FAILURE, true,
						"schema registry sent a reference without subject and version");
			return REGISTRY_UNAVAILABLE;
		}
		escaped = curl_easy_escape(fetch->easy, subject, 0);
		if (escaped == NULL)
			ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
		path = psprintf("/subjects/%s/versions/%lld", escaped, (long long) version);
		curl_free(escaped);
		name = MemoryContextStrdup(fetch->context, path);
		for (int i = 0; i < fetch->ntexts; i++)
			known |= fetch->names[i] != NULL && strcmp(fetch->names[i], name) == 0;
		if (known)
			continue;
		answer = add_schema(fetch, path, name, depth + 1);
		if (answer != REGISTRY_FOUND)
			return answer;
	}
	return REGISTRY_FOUND;
}

/* Fetch a schema and, before it, what it refers to. */
static RegistryAnswer
add_schema(Fetch *fetch, const char *path, const char *name, int depth)
{
	json_t	   *body;
	const char *text;
	const char *type;
	RegistryAnswer answer;

	if (depth > MAX_REFERENCE_DEPTH || fetch->ntexts >= MAX_TEXTS)
	{
		set_problem(fetch->problem, ERRCODE_PROGRAM_LIMIT_EXCEEDED, false,
					"schema has more than %d references, or references more than %d deep",
					MAX_TEXTS, MAX_REFERENCE_DEPTH);
		return REGISTRY_NOT_FOUND;
	}
	answer = get_path(fetch, path, &fetch->bodies[depth]);
	if (answer != REGISTRY_FOUND)
		return answer;

	body = fetch->bodies[depth];
	text = json_string_value(json_object_get(body, "schema"));
	type = json_string_value(json_object_get(body, "schemaType"));
	if (text == NULL)
	{
		set_problem(fetch->problem, ERRCODE_CONNECTION_FAILURE, true,
					"schema registry sent no schema for \"%s\"", path);
		answer = REGISTRY_UNAVAILABLE;
	}
	else if (type != NULL && strcmp(type, "AVRO") != 0)
	{
		set_problem(fetch->problem, ERRCODE_FEATURE_NOT_SUPPORTED, false,
					"schema registry has \"%s\" of type %.20s, not AVRO", path, type);
		answer = REGISTRY_NOT_FOUND;
	}
	else
	{
		answer = add_references(fetch, json_object_get(body, "references"), depth);
		if (answer == REGISTRY_FOUND)
		{
			fetch->texts[fetch->ntexts] = MemoryContextStrdup(fetch->context, text);
			fetch->names[fetch->ntexts] = name ? MemoryContextStrdup(fetch->context, name) : NULL;
			fetch->ntexts++;
		}
	}
	json_decref(body);
	fetch->bodies[depth] = NULL;
	return answer;
}

/* What a Fetch is for. */
typedef RegistryAnswer (*FetchAction) (Fetch *fetch, const char *path);

static RegistryAnswer
fetch_schema(Fetch *fetch, const char *path)
{
	return add_schema(fetch, path, NULL, 0);
}

static RegistryAnswer
fetch_anything(Fetch *fetch, const char *path)
{
	return get_path(fetch, path, &fetch->bodies[0]);
}

/* The id that the answer to a POST has. */
static RegistryAnswer
post_schema(Fetch *fetch, const char *path)
{
	RegistryAnswer answer = get_path(fetch, path, &fetch->bodies[0]);
	json_t	   *id;

	if (answer != REGISTRY_FOUND)
		return answer;
	id = json_object_get(fetch->bodies[0], "id");
	if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > PG_INT32_MAX)
	{
		set_problem(fetch->problem, ERRCODE_CONNECTION_FAILURE, true,
					"schema registry sent no schema id");
		return REGISTRY_UNAVAILABLE;
	}
	fetch->schema_id = (int32) json_integer_value(id);
	return REGISTRY_FOUND;
}

/* Run one look-up; the resources of libcurl go whatever happens. */
static RegistryAnswer
run_fetch(const RegistryOptions *options, FetchAction action, const char *path, char *post,
		  MemoryContext context, KafkaProblem *problem, Fetch **result)
{
	static bool initialized = false;
	Fetch	   *fetch = MemoryContextAllocZero(context, sizeof(Fetch));
	volatile RegistryAnswer answer;

	*result = fetch;
	if (options->url == NULL)
	{
		set_problem(problem, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, true,
					"the server has no schema_registry_url");
		return REGISTRY_REFUSED;
	}
	if (!initialized && curl_global_init(CURL_GLOBAL_DEFAULT) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not initialize libcurl")));
	initialized = true;

	INSTR_TIME_SET_CURRENT(fetch->start);
	fetch->options = options;
	fetch->context = context;
	fetch->problem = problem;
	fetch->post = post;
	fetch->texts = MemoryContextAllocZero(context, MAX_TEXTS * sizeof(char *));
	fetch->names = MemoryContextAllocZero(context, MAX_TEXTS * sizeof(char *));
	fetch->multi = curl_multi_init();
	fetch->easy = curl_easy_init();
	if (fetch->multi == NULL || fetch->easy == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	PG_TRY();
	{
		prepare(fetch);
		answer = action(fetch, path);
	}
	PG_FINALLY();
	{
		curl_multi_remove_handle(fetch->multi, fetch->easy);
		curl_easy_cleanup(fetch->easy);
		curl_multi_cleanup(fetch->multi);
		curl_slist_free_all(fetch->headers);
		free(fetch->response.data);
		for (int i = 0; i < lengthof(fetch->bodies); i++)
			json_decref(fetch->bodies[i]);
	}
	PG_END_TRY();
	return answer;
}

RegistryAnswer
RegistryFetchSchema(const RegistryOptions *options, int32 schema_id, MemoryContext context,
					char ***texts, int *ntexts, KafkaProblem *problem)
{
	Fetch	   *fetch;
	RegistryAnswer answer = run_fetch(options, fetch_schema,
									  psprintf("/schemas/ids/%d", schema_id), NULL, context,
									  problem, &fetch);

	*texts = fetch->texts;
	*ntexts = fetch->ntexts;
	return answer;
}

RegistryAnswer
RegistryCheck(const RegistryOptions *options, KafkaProblem *problem)
{
	Fetch	   *fetch;

	return run_fetch(options, fetch_anything, "/subjects", NULL, CurrentMemoryContext, problem,
					 &fetch);
}

/* "{"schema": ...}" in the current context. */
static char *
schema_body(const char *text)
{
	json_t	   *body = json_pack("{s:s}", "schema", text);
	char	   *dump = body ? json_dumps(body, JSON_COMPACT) : NULL;
	char	   *result;

	json_decref(body);
	if (dump == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory"), errdetail("A schema could not be written as JSON.")));
	result = pstrdup(dump);
	free(dump);
	return result;
}

/* Asked for first: who may read subjects may not always add to them. */
RegistryAnswer
RegistryRegisterSchema(const RegistryOptions *options, const char *subject, const char *text,
					   int32 *schema_id, KafkaProblem *problem)
{
	char	   *escaped = curl_easy_escape(NULL, subject, 0);
	char	   *path;
	char	   *body = schema_body(text);
	Fetch	   *fetch;
	RegistryAnswer answer;

	if (escaped == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	path = psprintf("/subjects/%s", escaped);
	curl_free(escaped);
	answer = run_fetch(options, post_schema, path, body, CurrentMemoryContext, problem, &fetch);
	if (answer == REGISTRY_NOT_FOUND)
		answer = run_fetch(options, post_schema, psprintf("%s/versions", path), body,
						   CurrentMemoryContext, problem, &fetch);
	if (answer == REGISTRY_FOUND)
		*schema_id = fetch->schema_id;
	return answer;
}
