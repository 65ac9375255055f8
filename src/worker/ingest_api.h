/*-------------------------------------------------------------------------
 *
 * ingest_api.h
 *		What venice_ingest.so calls of venice.so.
 *
 * Both libraries hide their symbols, so that neither can clash with anybody
 * else's: the one finds the other by a rendezvous variable.  Members carry the
 * names of the functions and are described where those are declared.
 *
 *-------------------------------------------------------------------------
 */
#ifndef VENICE_INGEST_API_H
#define VENICE_INGEST_API_H

#include "apply/load.h"
#include "apply/log.h"
#include "apply/outbox.h"
#include "apply/write.h"
#include "avro/reader.h"
#include "catalog/store.h"
#include "common/guc.h"
#include "common/server_options.h"
#include "common/shmem.h"
#include "common/subtransaction.h"
#include "common/user_context.h"
#include "common/write_rate.h"
#include "version/history.h"
#include "wire/record.h"
#include "worker/ledger.h"

#define INGEST_API_VARIABLE "venice_ingest_api"

/* Raised with every change of the struct or of what it points to. */
#define INGEST_API_VERSION	8

typedef struct IngestApi
{
	int			version;		/* INGEST_API_VERSION */
	int			bytes;			/* sizeof(IngestApi) */
	VeniceSettings *Settings;
	VeniceShared **Shared;

	Store *(*StoreLookup) (const char *name, bool missing_ok);
	Version *(*VersionLookup) (const char *store, int number, bool missing_ok);
	Oid			(*VersionRecords) (const Version *version);
	void		(*StoreLock) (const char *name, int lock_mode);
	void		(*VersionFail) (Version *version, int sqlstate, const char *error,
								const char *detail);
	char *(*OptionText) (const Jsonb *options, const char *key);
	void		(*UserContextEnter) (UserContext *context, Oid role);
	void		(*UserContextLeave) (UserContext *context);
	ServerOptions *(*ServerOptionsGet) (const char *server, Oid role, MemoryContext context);
	StateKey	(*LoadStateKey) (const Version *version);
	bool		(*PartitionStateRead) (const StateKey *key, int32 partition,
								PartitionState *state);
	bool		(*PartitionStateWrite) (const StateKey *key, const PartitionState *state,
								int64 expected_offset);
	int			(*PartitionStateAdd) (const StateKey *key, int count);
	int			(*PartitionCount) (const StateKey *key);
	List *(*PartitionJoined) (const char *store, int region, const char *topic, int32 partition);
	void		(*PartitionStateExtend) (const char *store, int region, const char *topic,
								int count);
	void		(*PushMarkerRead) (const Store *store, const char *push_id, bool is_end,
								int32 partition, int partition_count);
	void		(*RejectedRecordAdd) (const StateKey *state_key, int32 partition, int64 offset,
								TimestampTz record_time, const char *key, int key_bytes,
								const char *value, int value_bytes, const DecodeError *error);
	bool		(*RejectedRecordsCheck) (const char *store, int number);
	int			(*RegistrySchemaRead) (const char *store, const char *registry_url,
								int32 schema_id, char ***texts);
	void		(*RegistrySchemaWrite) (const char *registry_url, int32 schema_id,
								const char *const *texts, int ntexts);
	bool		(*WireFormatParse) (const char *name, WireFormat *format);
	RecordDecoder *(*RecordDecoderCreate) (const RecordFormat *format, MemoryContext context);
	void		(*RecordDecoderAddSchema) (RecordDecoder *decoder, int32 schema_id,
								const char *const *texts, int ntexts);
	void		(*RecordDecoderRefuseSchema) (RecordDecoder *decoder, int32 schema_id,
								const DecodeError *error);
	RecordVerdict	(*RecordDecode) (RecordDecoder *decoder, const RawRecord *record,
								Datum *values, bool *isnull, int32 *schema_id,
								DecodeError *error);
	RecordVerdict	(*RecordDecodeWrite) (RecordDecoder *decoder, const RawRecord *record,
								Datum *values, bool *isnull, FieldWrite *fields,
								int32 *schema_id, DecodeError *error);
	Jsonb *(*RecordDescribe) (const RawRecord *record);
	AvroReader *(*AvroReaderCreate) (const char *const *texts, int ntexts,
								const char *reader_schema, const AvroColumn *columns,
								int ncolumns, MemoryContext context, DecodeError *error);
	bool		(*AvroDatumToJsonb) (AvroReader *reader, const char *data, size_t data_bytes,
								Jsonb **result, DecodeError *error);
	Load *(*LoadCreate) (Oid records, const ItemPointerData *last_row, MemoryContext context);
	bool		(*LoadBegin) (Load *load);
	void		(*LoadPut) (Load *load, HeapTuple row);
	void		(*LoadDelete) (Load *load, HeapTuple row);
	void		(*LoadEnd) (Load *load);
	void		(*LoadCommitted) (Load *load);
	ItemPointerData	(*LoadLastRow) (Load *load);
	bool		(*VersionStateIsComplete) (VersionState state);
	List *(*CompleteVersions) (const Store *store);
	Oid			(*VersionTable) (const Version *version);
	TupleDesc	(*WriteColumns) (const Store *store, Oid records);
	VersionWriter *(*VersionWriterOpen) (const Store *store, const Version *version,
								TupleDesc columns);
	void		(*VersionWriterApply) (VersionWriter *writer, const Datum *key,
								const RowWrite *write, TimestampTz event_time);
	void		(*VersionWriterApplyMany) (VersionWriter *writer, const KeyedWrite *writes,
								int count);
	void		(*VersionWriterOrder) (VersionWriter *writer, const KeyedWrite *writes, int count,
									int *order);
	void		(*VersionWriterClose) (VersionWriter *writer);
	void		(*HistoryAppendWrite) (const Store *store, HistoryEvent event, TupleDesc columns,
								const HistoryWrite *writes, int count, bool in_order);
	ErrorData *(*SubtransactionTry) (SubtransactionAction action, void *argument,
								int expected_sqlstate);
	ErrorData *(*SubtransactionTryUnless) (SubtransactionAction action, void *argument,
								const bool *undo);
	void		(*SupervisorWake) (void);
	int			(*WriteRateWaitMs) (const char *store);
	void		(*WriteRateCount) (const char *store, int64 rows);
	bool		(*NodeIsKnown) (void);
	char *(*RealTimeTopicName) (const RealTimeTopic *topic, const char *store);
	void		(*OutboxResume) (const Store *store, int64 delivered, OutboxBatch *batch);
	void		(*OutboxTake) (const Store *store, int max_rows, int64 max_bytes,
							OutboxBatch *batch);
	void		(*OutboxDone) (const Store *store, const OutboxBatch *batch);
	void		(*RecordFrameFill) (char *frame, int32 schema_id);
} IngestApi;

/* Publish it, when venice.so is loaded. */
extern void IngestApiPublish(void);

#endif							/* VENICE_INGEST_API_H */
