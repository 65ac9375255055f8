# Hybrid stores: what is written to real-time topics is in every complete version, and in
# the next one before anybody reads it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::RealBin/../lib";
use VeniceTest;
use Test::More;

my $node = venice_cluster('main');
my $kafka = VeniceTest::Kafka->shared;
my $bootstrap = $kafka->bootstrap;

$node->safe_psql('postgres', "CREATE SERVER k FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap')");

my $formats = '"key_format": "text", "value_format": "json"';

sub produce
{
	my ($topic, @records) = @_;

	return $kafka->produce($topic, \@records, key => 'text', value => 'json');
}

sub rows { return "SELECT string_agg(format('%s:%s', id, n), ' ' ORDER BY id) FROM $_[0].records"; }

# Nothing was pushed but emptiness: everything is written by the topic.
{
	my $topic = unique_name('near');

	$kafka->topic($topic, 3);
	$node->safe_psql('postgres', qq{SELECT venice.create_store('near', 'id int', 'n int', NULL,
		'{$formats, "real_time_topics": [{"server": "k", "topic": "$topic"}]}')});
	produce($topic, map { { key => "$_", value => { n => $_ }, partition => $_ % 3 } } 1 .. 9);
	$node->safe_psql('postgres', "SELECT venice.push('near', 'SELECT 100, 100')");
	is($node->safe_psql('postgres', rows('near')), '', 'a push is not seen before it has caught up');
	$node->safe_psql('postgres', "CALL venice.wait_for_push('near', timeout => '60 s')");
	is($node->safe_psql('postgres', rows('near')), join(' ', map { "$_:$_" } 1 .. 9, 100), 'batch and stream together');
	produce($topic, { key => '2', value => { n => 20 }, partition => 2 }, { key => '3', value => undef, partition => 0 });
	wait_for_sql($node, rows('near'), '1:1 2:20 4:4 5:5 6:6 7:7 8:8 9:9 100:100', 'a change and a deletion follow');
	is($node->safe_psql('postgres', 'SELECT n FROM near.get(2)'), '20', 'get sees it');
	is($node->safe_psql('postgres', "SELECT string_agg(DISTINCT region || ' ' || topic || ' ' || (error IS NULL), ',') FROM venice.stat_ingestion s, venice.versions v WHERE s.store = 'near' AND v.store = 'near' AND v.state = 'current'"),
		"0 $topic true", 'stat_ingestion has its topic');
}

# A second version replays what was written lately; the first gets what comes later, too.
{
	my $topic = unique_name('hybrid');

	$kafka->topic($topic, 2);
	$node->safe_psql('postgres', qq{SELECT venice.create_store('hybrid', 'id int', 'n int', 'k',
		'{$formats, "version_topic": "$topic-v{version}", "real_time_topics": [{"server": "k", "topic": "$topic"}]}')});
	$kafka->topic("$topic-v1", 2);
	produce("$topic-v1", map { { key => "$_", value => { n => $_ } } } 1 .. 3);
	$node->safe_psql('postgres', "SELECT venice.start_push('hybrid'); SELECT venice.end_push('hybrid')");
	$node->safe_psql('postgres', "CALL venice.wait_for_push('hybrid', timeout => '60 s')");
	produce($topic, { key => '2', value => { n => 22 } });
	wait_for_sql($node, rows('hybrid'), '1:1 2:22 3:3', 'the first version is written to');

	$kafka->topic("$topic-v2", 2);
	produce("$topic-v2", map { { key => "$_", value => { n => 10 * $_ } } } 1 .. 4);
	$node->safe_psql('postgres', "SELECT venice.start_push('hybrid'); SELECT venice.end_push('hybrid')");
	$node->safe_psql('postgres', "CALL venice.wait_for_push('hybrid', timeout => '60 s')");
	is($node->safe_psql('postgres', rows('hybrid')), '1:10 2:22 3:30 4:40', 'the second has the write as well');
	produce($topic, { key => '1', value => { n => 11 } }, { key => '5', value => { n => 55 } });
	wait_for_sql($node, rows('hybrid'), '1:11 2:22 3:30 4:40 5:55', 'the current version is written to');
	is($node->safe_psql('postgres', rows('hybrid_v1')), '1:11 2:22 3:3 5:55', 'the backup in the same moment');
	$node->safe_psql('postgres', "SELECT venice.rollback_version('hybrid')");
	is($node->safe_psql('postgres', rows('hybrid')), '1:11 2:22 3:3 5:55', 'to go back loses no write');
	produce($topic, { key => '6', value => { n => 66 } });
	wait_for_sql($node, rows('hybrid_v2'), '1:11 2:22 3:30 4:40 5:55 6:66', 'the one that was left goes on');
}

# Rewind: only what was written since then is written again.
{
	my $topic = unique_name('rewind');
	my $now = int(time) * 1000;

	$kafka->topic($topic, 1);
	$node->safe_psql('postgres', qq{SELECT venice.create_store('rewound', 'id int', 'n int', NULL,
		'{$formats, "rewind": "1 hour", "real_time_topics": [{"server": "k", "topic": "$topic"}]}')});
	$kafka->produce($topic, [ { key => '1', value => { n => 1 }, timestamp_ms => $now - 7_200_000 },
		{ key => '2', value => { n => 2 }, timestamp_ms => $now - 600_000 } ], key => 'text', value => 'json');
	$node->safe_psql('postgres', "SELECT venice.push('rewound', 'SELECT 9, 9')");
	$node->safe_psql('postgres', "CALL venice.wait_for_push('rewound', timeout => '60 s')");
	is($node->safe_psql('postgres', rows('rewound')), '2:2 9:9', 'what is older than the rewind is not');
}

# Bad records are kept and counted, and stop nothing; some are bad for one version only.
{
	my $topic = unique_name('bad');

	$kafka->topic($topic, 1);
	$node->safe_psql('postgres', qq{SELECT venice.create_store('bad', 'id int', 'n int', NULL,
		'{$formats, "real_time_topics": [{"server": "k", "topic": "$topic"}]}')});
	$node->safe_psql('postgres', "SELECT venice.push('bad', 'SELECT 1, 1')");
	$node->safe_psql('postgres', "CALL venice.wait_for_push('bad', timeout => '60 s')");
	$node->safe_psql('postgres', "ALTER TABLE bad.records ADD CONSTRAINT small CHECK (n < 1000)");
	$node->safe_psql('postgres', "SELECT venice.push('bad', 'SELECT 1, 1')");
	$node->safe_psql('postgres', "CALL venice.wait_for_push('bad', timeout => '60 s')");
	$node->safe_psql('postgres', "ALTER TABLE bad.records DROP CONSTRAINT small");
	$kafka->produce($topic, [ { key => '2', value => '{"n": 2}' }, { key => '3', value => '{"n": "many"}' },
		{ key => '4', value => '{"n": 4000}' }, { key => '5', value => '{"n": 5}' } ], key => 'text', value => 'text');
	wait_for_sql($node, rows('bad'), '1:1 2:2 4:4000 5:5', 'the good ones are there');
	is($node->safe_psql('postgres', rows('bad_v1')), '1:1 2:2 5:5', 'the version with the constraint goes without what it forbids');
	is($node->safe_psql('postgres', "SELECT string_agg(format('%s/%s %s', version, kafka_offset, sqlstate), ', ' ORDER BY version, kafka_offset) FROM venice.rejected_records WHERE store = 'bad'"),
		'1/1 22P02, 1/2 23514, 2/1 22P02', 'each is kept for the version that could not have it');
}

# A version that cannot be written to leaves the others, shows why, and comes back.
{
	my $topic = unique_name('leaver');

	$kafka->topic($topic, 1);
	$node->safe_psql('postgres', qq{SELECT venice.create_store('leaver', 'id int', 'n int', NULL,
		'{$formats, "real_time_topics": [{"server": "k", "topic": "$topic"}]}')});
	for (1 .. 2)
	{
		$node->safe_psql('postgres', "SELECT venice.push('leaver', 'SELECT 1, 1')");
		$node->safe_psql('postgres', "CALL venice.wait_for_push('leaver', timeout => '60 s')");
	}
	$node->safe_psql('postgres', "ALTER TABLE leaver_v1.records DROP CONSTRAINT records_pkey");
	produce($topic, { key => '2', value => { n => 2 } });
	wait_for_sql($node, rows('leaver'), '1:1 2:2', 'the current version goes on');
	wait_for_sql($node, "SELECT last_error FROM venice.stat_ingestion WHERE store = 'leaver' AND version = 1",
		qr/has no primary key/, 'stat_ingestion says why the other does not');
	$node->safe_psql('postgres', "ALTER TABLE leaver_v1.records ADD CONSTRAINT records_pkey PRIMARY KEY (id)");
	produce($topic, { key => '3', value => { n => 3 } });
	wait_for_sql($node, rows('leaver_v1'), '1:1 2:2 3:3', 'it catches up by itself');
	is($node->safe_psql('postgres', "SELECT sum(messages) = 4 AND bool_and(last_error IS NULL) FROM venice.stat_ingestion WHERE store = 'leaver'"),
		't', 'no record was counted twice');
}

# History: each write once, whatever versions there are.
{
	my $topic = unique_name('past');
	my $past = "SELECT string_agg(format('%s:%s%s', id, n, CASE WHEN _deleted THEN '-' END), ' ' ORDER BY arrival) FROM past_history.rows";

	$kafka->topic($topic, 1);
	$node->safe_psql('postgres', qq{SELECT venice.create_store('past', 'id int', 'n int', NULL,
		'{$formats, "history": true, "real_time_topics": [{"server": "k", "topic": "$topic"}]}')});
	$node->safe_psql('postgres', "SELECT venice.push('past', 'SELECT 1, 1')");
	$node->safe_psql('postgres', "CALL venice.wait_for_push('past', timeout => '60 s')");
	produce($topic, { key => '1', value => { n => 2 } }, { key => '2', value => { n => 3 } }, { key => '1', value => undef });
	wait_for_sql($node, $past, '1:1 1:2 2:3 1:-', 'the history has the push and each write');
	$node->safe_psql('postgres', "SELECT venice.push('past', 'SELECT 5, 5')");
	$node->safe_psql('postgres', "CALL venice.wait_for_push('past', timeout => '60 s')");
	wait_for_sql($node, $past, '1:1 1:2 2:3 1:- 5:5', 'another version replays nothing into it');
	produce($topic, { key => '5', value => { n => 6 } });
	wait_for_sql($node, $past, '1:1 1:2 2:3 1:- 5:5 5:6', 'and goes on');
}

# Several regions: the later write wins, whatever comes first.
{
	my ($here, $there) = (unique_name('here'), unique_name('there'));
	my $now = int(time) * 1000 - 60_000;

	$kafka->topic($_, 1) for $here, $there;
	$node->safe_psql('postgres', qq{SELECT venice.create_store('regions', 'id int', 'n int', NULL,
		'{$formats, "real_time_topics": [{"server": "k", "topic": "$here"}, {"server": "k", "topic": "$there"}]}')});
	is($node->safe_psql('postgres', "SELECT options ->> 'conflict_resolution' FROM venice.stores WHERE store = 'regions'"), 'row', 'rows are compared by time');
	$node->safe_psql('postgres', "SELECT venice.push('regions', 'SELECT 9, 9')");
	$node->safe_psql('postgres', "CALL venice.wait_for_push('regions', timeout => '60 s')");
	$kafka->produce($here, [ { key => '1', value => { n => 5 }, timestamp_ms => $now + 5 }, { key => '2', value => undef, timestamp_ms => $now + 7 } ], key => 'text', value => 'json');
	wait_for_sql($node, rows('regions'), '1:5 9:9', 'the first');
	$kafka->produce($there, [ { key => '1', value => { n => 4 }, timestamp_ms => $now + 4 }, { key => '2', value => { n => 6 }, timestamp_ms => $now + 6 },
		{ key => '9', value => { n => 10 }, timestamp_ms => $now } ], key => 'text', value => 'json');
	wait_for_sql($node, rows('regions'), '1:5 9:10', 'what is older than a row, or its deletion, does not count');
}

# Regions are clusters of their own, whose topics have one name: positions and rejected records are each region's.
{
	my $topic = unique_name('same');

	$node->safe_psql('postgres', "CREATE SERVER k2 FOREIGN DATA WRAPPER venice_kafka OPTIONS (bootstrap_servers '$bootstrap')");
	$kafka->topic($topic, 1);
	$node->safe_psql('postgres', qq{SELECT venice.create_store('same', 'id int', 'n int', NULL,
		'{$formats, "real_time_topics": [{"server": "k", "topic": "$topic"}, {"server": "k2", "topic": "$topic"}]}')});
	$node->safe_psql('postgres', "SELECT venice.push('same', 'SELECT 9, 9')");
	$node->safe_psql('postgres', "CALL venice.wait_for_push('same', timeout => '60 s')");
	$kafka->produce($topic, [ { key => '1', value => '{"n": 1}' }, { key => '2', value => '{"n": "x"}' } ], key => 'text', value => 'text');
	wait_for_sql($node, "SELECT string_agg(region || ':' || messages || ':' || rejected, ' ' ORDER BY region) FROM venice.stat_ingestion WHERE store = 'same'",
		'0:2:1 1:2:1', 'each region has read its topic');
	is($node->safe_psql('postgres', rows('same')), '1:1 9:9', 'what both say is there once');
	is($node->safe_psql('postgres', "SELECT count(*) FROM venice.rejected_records WHERE store = 'same'"), '2', 'each has rejected a record');
}

# Topics get partitions, and somebody else's incremental pushes.
{
	my $topic = unique_name('grows');

	$kafka->topic($topic, 1);
	$node->safe_psql('postgres', qq{SELECT venice.create_store('grows', 'id int', 'n int', NULL,
		'{$formats, "real_time_topics": [{"server": "k", "topic": "$topic"}]}')});
	$node->safe_psql('postgres', "SELECT venice.push('grows', 'SELECT 9, 9')");
	$node->safe_psql('postgres', "CALL venice.wait_for_push('grows', timeout => '60 s')");
	$kafka->request('add_partitions', topic => $topic, partitions => 2);
	produce($topic, { key => '1', value => { n => 1 }, partition => 1 });

	# A unit that begins asks how many there are.
	$node->safe_psql('postgres', "SELECT venice.pause_ingestion('grows'); SELECT venice.resume_ingestion('grows')");
	wait_for_sql($node, rows('grows'), '1:1 9:9', 'a new partition is read from its beginning');

	$kafka->produce($topic, [ map { { key => undef, value => undef, partition => $_, headers => { venice_push_start => 'theirs' } } } 0, 1 ]);
	wait_for_sql($node, "SELECT origin || ' ' || state FROM venice.pushes WHERE push_id = 'theirs'", 'incremental started', 'a push that begins on a topic is seen');
	$kafka->produce($topic, [ { key => '2', value => '{"n": 2}', partition => 1 },
		{ key => undef, value => undef, partition => 1, headers => { venice_push_end => 'theirs' } } ], key => 'text', value => 'text');
	wait_for_sql($node, rows('grows'), '1:1 2:2 9:9', 'its rows are written');
	is($node->safe_psql('postgres', "SELECT state FROM venice.pushes WHERE push_id = 'theirs'"), 'started', 'it is not over with one of two partitions');
	$kafka->produce($topic, [ { key => undef, value => undef, partition => 0, headers => { venice_push_end => 'theirs' } } ]);
	wait_for_sql($node, "SELECT state || ' ' || (ended_time IS NOT NULL) FROM venice.pushes WHERE push_id = 'theirs'", 'completed true', 'and is with both');
}

# Pausing, a topic that does not exist yet, one that grows.
{
	my $topic = unique_name('later');

	$node->safe_psql('postgres', qq{SELECT venice.create_store('later', 'id int', 'n int', NULL,
		'{$formats, "real_time_topics": [{"server": "k", "topic": "$topic"}]}')});
	$node->safe_psql('postgres', "SELECT venice.push('later', 'SELECT 1, 1')");
	wait_for_sql($node, "SELECT state FROM venice.stat_ingestion WHERE store = 'later'", 'waiting_for_topic', 'a topic is waited for');
	like(sql_error($node, "SELECT venice.swap_version('later', 1)"), qr/55000: version 1 of store "later" has not caught up/, 'and no swap by hand goes before');
	$kafka->topic($topic, 1);
	$node->safe_psql('postgres', "CALL venice.wait_for_push('later', timeout => '60 s')");
	$node->safe_psql('postgres', "SELECT venice.pause_ingestion('later')");
	produce($topic, { key => '2', value => { n => 2 } });
	is($node->safe_psql('postgres', "SELECT state FROM venice.stat_ingestion WHERE store = 'later'"), 'paused', 'paused');
	is($node->safe_psql('postgres', rows('later')), '1:1', 'nothing is read');
	$node->safe_psql('postgres', "SELECT venice.resume_ingestion('later')");
	wait_for_sql($node, rows('later'), '1:1 2:2', 'until it is resumed');
	like(sql_error($node, 'DROP SERVER k CASCADE'), qr/2BP01: cannot drop server "k"/, 'the server is kept');
	$node->safe_psql('postgres', "SELECT venice.drop_store('later', force => true)");
	is($node->safe_psql('postgres', "SELECT count(*) FROM venice.partition_state WHERE store_name = 'later'"), '0', 'nothing is left of a dropped store');
}

log_is_clean($node, 'the log has no complaints but those that were asked for', qr/has no primary key/, qr/bad record|rejected/);
done_testing();
