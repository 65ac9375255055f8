/*-------------------------------------------------------------------------
 *
 * ingest_api.c
 *		What venice_ingest.so calls of venice.so.
 *
 * Locks: none.
 * Must not know: who calls.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "worker/ingest_api.h"

#include "fmgr.h"

#include "catalog/node.h"
#include "version/state.h"
#include "wire/encode.h"

static const IngestApi api = {
	.version = INGEST_API_VERSION,
	.bytes = sizeof(IngestApi),
	.Settings = &Settings,
	.Shared = &Shared,
	.StoreLookup = StoreLookup,
	.VersionLookup = VersionLookup,
	.VersionRecords = VersionRecords,
	.StoreLock = StoreLock,
	.VersionFail = VersionFail,
	.OptionText = OptionText,
	.UserContextEnter = UserContextEnter,
	.UserContextLeave = UserContextLeave,
	.ServerOptionsGet = ServerOptionsGet,
	.LoadStateKey = LoadStateKey,
	.PartitionStateRead = PartitionStateRead,
	.PartitionStateWrite = PartitionStateWrite,
	.PartitionStateAdd = PartitionStateAdd,
	.PartitionCount = PartitionCount,
	.PartitionJoined = PartitionJoined,
	.PartitionStateExtend = PartitionStateExtend,
	.PushMarkerRead = PushMarkerRead,
	.RejectedRecordAdd = RejectedRecordAdd,
	.RejectedRecordsCheck = RejectedRecordsCheck,
	.RegistrySchemaRead = RegistrySchemaRead,
	.RegistrySchemaWrite = RegistrySchemaWrite,
	.WireFormatParse = WireFormatParse,
	.RecordDecoderCreate = RecordDecoderCreate,
	.RecordDecoderAddSchema = RecordDecoderAddSchema,
	.RecordDecoderRefuseSchema = RecordDecoderRefuseSchema,
	.RecordDecode = RecordDecode,
	.RecordDecodeWrite = RecordDecodeWrite,
	.RecordDescribe = RecordDescribe,
	.AvroReaderCreate = AvroReaderCreate,
	.AvroDatumToJsonb = AvroDatumToJsonb,
	.LoadCreate = LoadCreate,
	.LoadBegin = LoadBegin,
	.LoadPut = LoadPut,
	.LoadDelete = LoadDelete,
	.LoadEnd = LoadEnd,
	.LoadCommitted = LoadCommitted,
	.WriteRateWaitMs = WriteRateWaitMs,
	.WriteRateCount = WriteRateCount,
	.LoadLastRow = LoadLastRow,
	.VersionStateIsComplete = VersionStateIsComplete,
	.CompleteVersions = CompleteVersions,
	.VersionTable = VersionTable,
	.WriteColumns = WriteColumns,
	.VersionWriterOpen = VersionWriterOpen,
	.VersionWriterApply = VersionWriterApply,
	.VersionWriterApplyMany = VersionWriterApplyMany,
	.VersionWriterOrder = VersionWriterOrder,
	.VersionWriterClose = VersionWriterClose,
	.HistoryAppendWrite = HistoryAppendWrite,
	.SubtransactionTry = SubtransactionTry,
	.SubtransactionTryUnless = SubtransactionTryUnless,
	.SupervisorWake = SupervisorWake,
	.NodeIsKnown = NodeIsKnown,
	.RealTimeTopicName = RealTimeTopicName,
	.OutboxResume = OutboxResume,
	.OutboxTake = OutboxTake,
	.OutboxDone = OutboxDone,
	.RecordFrameFill = RecordFrameFill,
};

void
IngestApiPublish(void)
{
	*find_rendezvous_variable(INGEST_API_VARIABLE) = (void *) &api;
}
