# A store may have columns of pgvector's type, and pgvector's indexes on them follow from version to version.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use Test::More;

my $node = venice_cluster('main');

sub sql { my ($sql) = @_; return $node->safe_psql('postgres', $sql); }

# 1,000 items on a circle; in version N the angle is turned by N degrees.
sub push_version
{
	my ($n) = @_;
	return sql(qq{SELECT venice.push('items', \$\$
		SELECT i, 'item ' || i, ARRAY[cosd(i * 0.36 + $n), sind(i * 0.36 + $n), 1]::vector FROM generate_series(0, 999) i\$\$)});
}

# The plan and the answer of a search, which begins at the angle of an item of version 1.
sub nearest
{
	my ($operator, $index) = @_;
	my $query = "SELECT item_id FROM items.records ORDER BY embedding $operator '[1,0,1]' LIMIT 1";
	my $plan = sql("SET enable_seqscan = off; SET enable_sort = off; EXPLAIN (COSTS off) $query");

	like($plan, qr/Index Scan using $index on records/, "$index is used");
	return sql("SET enable_seqscan = off; SET enable_sort = off; SET hnsw.ef_search = 100; SET ivfflat.probes = 10; $query");
}

sql(q{
	CREATE EXTENSION vector;
	SELECT venice.create_store('items', 'item_id bigint', 'name text, embedding vector(3)')});
push_version(0);
sql(q{
	CREATE INDEX by_distance ON items.records USING hnsw (embedding vector_l2_ops) WITH (m = 8);
	CREATE INDEX by_angle ON items.records USING ivfflat (embedding vector_cosine_ops) WITH (lists = 10)});
is(nearest('<->', 'by_distance'), '0', 'the nearest by hnsw');
is(nearest('<=>', 'by_angle'), '0', 'the nearest by ivfflat');
my $definitions = sql(q{SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'items' ORDER BY 1});

# Turned by 36 degrees, item 900 is where item 0 was.
push_version(36);
is(sql(q{SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'items' AND indexname <> 'records_pkey' ORDER BY 1}),
	join("\n", grep { !/^records_pkey/ } split /\n/, $definitions), 'after a swap the indexes are there, as they were defined');
is(nearest('<->', 'by_distance'), '900', 'and hnsw finds what the new version has');
is(nearest('<=>', 'by_angle'), '900', 'and so does ivfflat');
sql(q{SELECT venice.rollback_version('items')});
is(nearest('<->', 'by_distance'), '0', 'after a roll-back it is the version before');

# Look-ups give vectors, and arithmetic takes them.
is(sql('SELECT name, embedding FROM items.get(0)'), 'item 0|[1,0,1]', 'get gives a vector');
is(sql(q{SELECT item_id, venice.dot_product(embedding, '[2,0,3]'::vector) FROM items.batch_get('{500,-1,0}')}), "500|1\n0|5", 'dot_product takes vectors');
is(sql(q{SELECT venice.l2_distance(a.embedding, b.embedding) FROM items.get(0) a, items.get(500) b}), '2', 'and so does l2_distance');
is(sql(q{SELECT substring(items.get_packed(0), 20) = '\x0002' || int4send(6) || 'item 0'::bytea || int4send(16) || '\x00030000' || float4send(1) || float4send(0) || float4send(1) || '\xffff'}),
	't', 'packed, a vector is its binary form');

log_is_clean($node, 'the server log has nothing to worry about');
done_testing();
