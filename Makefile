# venice: a feature-store node in PostgreSQL.
#
#   make                     build
#   make install             install into the server of PG_CONFIG
#   make installcheck        regression and isolation tests, in temporary servers of their own
#   make results             accept the last run's output as expected, after reading it
#   make soak [MINUTES=120] [KILLS=50]   pushes for hours while nothing may grow, then kills
#   make check-majors        build and test on PostgreSQL 17 and 18, as root
#   make help                everything else

PG_CONFIG ?= pg_config

EXTENSION = venice
DISTVERSION := $(shell sed -n 's/^   "version": "\(.*\)",/\1/p' META.json)
EXTVERSION := $(shell sed -n 's/^         "version": "\(.*\)",/\1/p' META.json)

# The table of contents: what venice.so is made of, in the order of the rooms.
# A file uses only what stands above it.
OBJS = \
	src/common/type_input.o \
	src/common/length_of_time.o \
	src/common/json_input.o \
	src/common/field_write.o \
	src/common/exact_text.o \
	src/common/guc.o \
	src/common/item_list.o \
	src/common/user_context.o \
	src/common/query.o \
	src/common/subtransaction.o \
	src/common/table_lock.o \
	src/common/shared_area.o \
	src/common/shmem.o \
	src/common/swap_generation.o \
	src/common/write_rate.o \
	src/common/store_options.o \
	src/common/server_options.o \
	src/catalog/registry_row.o \
	src/catalog/pointer.o \
	src/catalog/audit.o \
	src/catalog/store.o \
	src/catalog/node.o \
	src/avro/schema.o \
	src/avro/resolve.o \
	src/avro/decode.o \
	src/avro/scalar.o \
	src/avro/to_jsonb.o \
	src/avro/convert.o \
	src/avro/schema_columns.o \
	src/avro/reader.o \
	src/avro/encode.o \
	src/compute/kernels.o \
	src/compute/vector.o \
	src/wire/format.o \
	src/wire/text.o \
	src/wire/scalar_key.o \
	src/wire/json.o \
	src/wire/to_json.o \
	src/wire/record.o \
	src/wire/encode.o \
	src/merge/order.o \
	src/merge/collection.o \
	src/merge/metadata.o \
	src/merge/merge.o \
	src/version/catalog_row.o \
	src/version/clone.o \
	src/version/layout.o \
	src/version/state.o \
	src/version/functions.o \
	src/version/columns.o \
	src/version/build.o \
	src/version/redirect.o \
	src/version/carry.o \
	src/version/dependents.o \
	src/version/views.o \
	src/version/streams.o \
	src/version/arrival.o \
	src/version/history.o \
	src/version/gate.o \
	src/version/swap.o \
	src/version/retire.o \
	src/read/statistics.o \
	src/read/cache.o \
	src/read/forget.o \
	src/read/handle.o \
	src/read/call_site.o \
	src/read/lookup.o \
	src/read/encode.o \
	src/read/get.o \
	src/read/send.o \
	src/read/packed.o \
	src/read/compute.o \
	src/read/warm.o \
	src/apply/load.o \
	src/apply/write.o \
	src/apply/change.o \
	src/apply/log.o \
	src/apply/expire.o \
	src/apply/outbox.o \
	src/store/arguments.o \
	src/store/definition.o \
	src/store/guard.o \
	src/store/quota.o \
	src/store/create.o \
	src/store/put.o \
	src/store/push.o \
	src/store/versions.o \
	src/registry/definition.o \
	src/registry/reference.o \
	src/registry/entry.o \
	src/registry/project.o \
	src/registry/entity.o \
	src/registry/source.o \
	src/registry/expression.o \
	src/registry/aggregation.o \
	src/registry/view.o \
	src/registry/past.o \
	src/registry/derive.o \
	src/registry/change.o \
	src/registry/define.o \
	src/registry/share.o \
	src/registry/service_definition.o \
	src/registry/service_functions.o \
	src/registry/service_plan.o \
	src/registry/service.o \
	src/registry/served.o \
	src/registry/online.o \
	src/registry/discovery.o \
	src/registry/plan.o \
	src/offline/rewrite.o \
	src/offline/partitions.o \
	src/offline/history_care.o \
	src/offline/source.o \
	src/offline/select.o \
	src/offline/history_cursor.o \
	src/offline/exact_sum.o \
	src/offline/window.o \
	src/offline/join_view.o \
	src/offline/join_cursor.o \
	src/offline/join_ordered.o \
	src/offline/join_windows.o \
	src/offline/join_leaf.o \
	src/offline/join_probe.o \
	src/offline/join_merge.o \
	src/offline/join_direct.o \
	src/offline/join_sort.o \
	src/offline/join_progress.o \
	src/offline/join_team.o \
	src/offline/join.o \
	src/offline/request.o \
	src/offline/answer.o \
	src/offline/historical.o \
	src/offline/historical_scan.o \
	src/offline/hash_fraction.o \
	src/offline/training_set.o \
	src/offline/service_past.o \
	src/offline/store_past.o \
	src/worker/ledger.o \
	src/worker/launcher.o \
	src/worker/units.o \
	src/worker/maintenance.o \
	src/worker/supervisor.o \
	src/worker/database_guard.o \
	src/worker/inspect.o \
	src/worker/functions.o \
	src/worker/ingest_api.o \
	src/venice.o

MODULE_big = venice
PG_CPPFLAGS = -I$(srcdir)/src
EXPORTS = -Wl,--version-script=src/exports.map
SHLIB_LINK = $(shell pkg-config --libs jansson) $(EXPORTS)

# venice_ingest.so is loaded by ingest workers only, so that no backend maps
# librdkafka or libcurl.
INGEST_OBJS = \
	src/kafka/client.o \
	src/kafka/producer.o \
	src/kafka/registry.o \
	src/ingest/api.o \
	src/ingest/batch.o \
	src/ingest/stream.o \
	src/ingest/clients.o \
	src/ingest/unit.o \
	src/ingest/outbox.o \
	src/ingest/ingest_worker.o \
	src/ingest/inspection.o

# The install script, in the order in which it must run.
SQL_PARTS = \
	src/catalog/schemas.sql \
	src/catalog/tables.sql \
	src/catalog/registry.sql \
	src/compute/compute.sql \
	src/kafka/kafka.sql \
	src/read/read.sql \
	src/version/dependents.sql \
	src/version/history.sql \
	src/store/store.sql \
	src/store/put.sql \
	src/store/views.sql \
	src/registry/definition.sql \
	src/registry/entries.sql \
	src/registry/views.sql \
	src/registry/service.sql \
	src/registry/discovery.sql \
	src/registry/plan.sql \
	src/offline/history.sql \
	src/offline/offline.sql \
	src/offline/training_set.sql \
	src/offline/service_past.sql \
	src/worker/worker.sql

DATA_built = venice--$(EXTVERSION).sql
DOCS := $(wildcard doc/*.md)
EXTRA_CLEAN = venice--$(EXTVERSION).sql venice_ingest.so $(INGEST_OBJS) $(INGEST_OBJS:.o=.bc)

REGRESS = $(shell cat sql/schedule)
REGRESS_OPTS = --temp-instance=./tmp_check --temp-config=test/venice.conf

# PGXS looks for specs/ and expected/ beside the Makefile; the last --inputdir wins.
ISOLATION = $(patsubst test/isolation/specs/%.spec,%,$(sort $(wildcard test/isolation/specs/*.spec)))
ISOLATION_OPTS = --temp-instance=./tmp_check_iso --temp-config=test/venice.conf \
	--inputdir=test/isolation --load-extension=venice

PGXS := $(shell $(PG_CONFIG) --pgxs)
include $(PGXS)

# Some tests name the database that they run in.
CONTRIB_TESTDB = regression

ifeq ($(shell pkg-config --exists jansson rdkafka libcurl || echo missing),missing)
$(error venice needs the development files of jansson, librdkafka and libcurl: apt-get install libjansson-dev librdkafka-dev libcurl4-openssl-dev)
endif

# PGXS follows includes only where the server was built with --enable-depend.
$(OBJS) $(INGEST_OBJS): $(wildcard src/*/*.h)
src/compute/kernels.o: src/compute/kernels_body.inc

# Sums are the same bits on every CPU: no fused multiply-add where there is one.
src/compute/%.o: override CFLAGS += -ffp-contract=off
src/compute/%.bc: override BITCODE_CFLAGS += -ffp-contract=off

all: venice_ingest.so

venice_ingest.so: $(INGEST_OBJS)
	$(CC) $(CFLAGS) $(INGEST_OBJS) $(LDFLAGS) $(LDFLAGS_SL) -shared -o $@ $(shell pkg-config --libs rdkafka libcurl jansson) $(EXPORTS)

install: install-ingest
.PHONY: install-ingest
install-ingest: venice_ingest.so
	$(MKDIR_P) '$(DESTDIR)$(pkglibdir)'
	$(INSTALL_SHLIB) venice_ingest.so '$(DESTDIR)$(pkglibdir)/venice_ingest.so'

uninstall: uninstall-ingest
.PHONY: uninstall-ingest
uninstall-ingest:
	rm -f '$(DESTDIR)$(pkglibdir)/venice_ingest.so'

venice--$(EXTVERSION).sql: $(SQL_PARTS)
	printf '%s\n' '\echo Use "CREATE EXTENSION venice" to load this file. \quit' > $@
	cat $(SQL_PARTS) >> $@

installcheck: checkver

.PHONY: checkver check-majors results soak dist help
# META.json is the one source of versions; what repeats one must agree.
checkver:
	@grep -q "^default_version = '$(EXTVERSION)'" venice.control || { echo "venice.control: default_version is not $(EXTVERSION)"; exit 1; }
	@grep -q '^## $(DISTVERSION)' CHANGELOG.md || { echo "CHANGELOG.md: no entry for $(DISTVERSION)"; exit 1; }

check-majors:
	test/majors/run

results:
	cp results/*.out expected/
	[ ! -d output_iso ] || cp output_iso/results/*.out test/isolation/expected/

soak:
	test/soak/run $(or $(MINUTES),120) $(or $(KILLS),50)

dist:
	git archive --format zip --prefix venice-$(DISTVERSION)/ -o venice-$(DISTVERSION).zip HEAD

help:
	@sed -n 's/^#   //p' Makefile
