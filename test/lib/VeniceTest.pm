# VeniceTest: what every TAP test of venice needs, on top of PostgreSQL's own
# test modules.
#
#	use VeniceTest;
#	use Test::More;
#
#	my $node = venice_cluster('main');
#	my $kafka = VeniceTest::Kafka->shared;
#	my $topic = unique_name('clicks');
#	$kafka->topic($topic, 4);
#	$kafka->produce($topic, [ { key => 'a', value => { clicks => 1 } } ], value => 'json');
#	$node->safe_psql('postgres', ...);
#	wait_for_sql($node, "SELECT ...", 'current', 'the version becomes current');
#
# A test file runs by itself (prove -I test/lib test/t/010_x.pl) with the
# server of $PG_CONFIG, as any user but root.  It starts a broker, or uses the
# one whose address is in $VENICE_KAFKA, which saves each file of a run its own.
package VeniceTest;

use strict;
use warnings;

my ($pg_config, $pgxs);

# PostgreSQL's modules find its programs by PATH and PG_REGRESS.
BEGIN
{
	$pg_config = $ENV{PG_CONFIG} || 'pg_config';
	chomp(my $bindir = `$pg_config --bindir`);
	chomp($pgxs = `$pg_config --pgxs`);
	die "cannot run $pg_config" unless $pgxs;
	$pgxs =~ s{/makefiles/pgxs\.mk$}{};
	$ENV{PATH} = "$bindir:$ENV{PATH}";
	$ENV{PG_REGRESS} ||= "$pgxs/test/regress/pg_regress";
	unshift @INC, "$pgxs/test/perl";
}

use Exporter 'import';
use File::Basename qw(dirname);
use File::Spec;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time usleep);

our @EXPORT = qw(venice_cluster wait_for_sql unique_name sql_error log_is_clean);

our $test_dir = File::Spec->rel2abs(dirname(__FILE__) . '/..');

# A started cluster that preloads venice, with the extension in database
# "postgres".  Options: conf => lines of postgresql.conf; extension => 0;
# start => 0; install_path => of another PostgreSQL; anything else goes to PostgreSQL::Test::Cluster's init.
sub venice_cluster
{
	my ($name, %options) = @_;
	my $conf = delete $options{conf} // '';
	my $extension = delete $options{extension} // 1;
	my $start = delete $options{start} // 1;
	my $node = PostgreSQL::Test::Cluster->new($name, install_path => delete $options{install_path});

	$node->init(%options);
	$node->append_conf('postgresql.conf', slurp_file("$test_dir/venice.conf"));
	$node->append_conf('postgresql.conf', $conf) if $conf;
	if ($start)
	{
		$node->start;
		$node->safe_psql('postgres', 'CREATE EXTENSION venice') if $extension;
	}
	return $node;
}

# Passes as soon as the query's output is $expected (a string or a qr//), fails
# after timeout_s seconds with the last output and what venice says of itself.
# Errors of the query are retried: a server may be starting.
# Options: dbname, timeout_s.
sub wait_for_sql
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($node, $query, $expected, $name, %options) = @_;
	my $dbname = $options{dbname} // 'postgres';
	my $deadline = time + ($options{timeout_s} // 60);
	my ($output, $errors);

	while (1)
	{
		# A psql that cannot connect may be gone before it is given the query, which dies of that.
		(undef, $output, $errors) = eval { $node->psql($dbname, $query) };
		$output //= '';
		return pass($name)
		  if ref $expected ? $output =~ $expected : $output eq $expected;
		last if time > $deadline;
		usleep(100_000);
	}
	fail($name);
	diag("waited for: $query\nexpected:   $expected\nlast seen:  $output\n" . ($errors // $@));
	for my $view (qw(versions stat_ingestion rejected_records))
	{
		my (undef, $rows) = $node->psql($dbname, "\\x\nTABLE venice.$view LIMIT 20");
		diag("venice.$view:\n" . ($rows // ''));
	}
	return 0;
}

# What psql says of a statement that must fail: "SQLSTATE: message", with the
# detail and the hint on lines of their own.  Empty if it succeeds.
sub sql_error
{
	my ($node, $sql, %options) = @_;
	my (undef, undef, $errors) = $node->psql(
		$options{dbname} // 'postgres', $sql,
		extra_params => [ '-v', 'VERBOSITY=verbose', '-v', 'ON_ERROR_STOP=1' ]);
	my @lines = grep { /^(?:psql:\S+ )?(?:ERROR|FATAL|DETAIL|HINT):/ } split /\n/, $errors // '';

	s/^(?:psql:\S+ )?(?:(?:ERROR|FATAL):\s+)?// for @lines;
	return join("\n", @lines);
}

# Passes if the server's own processes have complained of nothing but what
# matches one of @expected, and none of them says the same again and again.
# Sessions of the test have a name in their lines; those are not looked at.
sub log_is_clean
{
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my ($node, $name, @expected) = @_;
	my (@unexpected, %repeated);

	push @expected, qr/terminating background worker .* due to administrator command/;
	for my $line (split /\n/, slurp_file($node->logfile))
	{
		my ($level, $message) = $line =~ /^\S+ \S+ \S+ \[\d+\] (LOG|WARNING|ERROR|FATAL|PANIC):  (.*)/
		  or next;

		push @unexpected, $line if $level ne 'LOG' && !grep { $message =~ $_ } @expected;
		$repeated{$message}++;
	}
	my @flood = grep { $repeated{$_} > 30 } sort keys %repeated;
	my $clean = ok(!@unexpected && !@flood, $name);

	diag('unexpected in the log:', map { "\n$_" } @unexpected) if @unexpected;
	diag('repeated in the log:', map { "\n$repeated{$_} times $_" } @flood) if @flood;
	return $clean;
}

# A name nobody else uses with a broker that several tests share.
my $names = 0;

sub unique_name
{
	my ($prefix) = @_;
	return sprintf('%s_%d_%d_%d', $prefix, $$, $^T % 100_000, ++$names);
}

# A process that reads requests and writes answers, a line each, mostly of JSON,
# and ends with its standard input.
package VeniceTest::Process;

use strict;
use warnings;
use IPC::Open2;
use JSON::PP;

my $json = JSON::PP->new->utf8->canonical->allow_nonref;

sub new
{
	my ($class, @command) = @_;
	my $self = bless {}, $class;

	$self->{pid} = open2($self->{from}, $self->{to}, @command);
	return $self;
}

sub read_line
{
	my ($self) = @_;
	my $line = readline($self->{from});

	die 'a helper process of the test ended' unless defined $line;
	chomp $line;
	return $line;
}

sub write_line
{
	my ($self, $line) = @_;
	my $to = $self->{to};

	print $to $line, "\n";
	$to->flush;
	return;
}

# Ask now, read_answer later: what happens in between happens while the process works.
sub ask { my ($self, $request) = @_; return $self->write_line($json->encode($request)); }

sub read_answer { return $json->decode($_[0]->read_line); }

sub request
{
	my ($self, $request) = @_;

	$self->ask($request);
	return $self->read_answer;
}

sub end
{
	my ($self) = @_;

	return unless $self->{pid};
	close $self->{to};
	local $?;
	waitpid(delete $self->{pid}, 0);
	return;
}

sub DESTROY { $_[0]->end; return; }

# A broker and a client of it.  Operations of the client and the formats of
# keys and values: python/kafka_client.py.
package VeniceTest::Kafka;

use strict;
use warnings;
use Test::More;

my $shared;
my @started;

# The broker of this run: for tests that do it no harm.
sub shared
{
	my ($class) = @_;

	$shared //= $ENV{VENICE_KAFKA}
	  ? bless({ port => $ENV{VENICE_KAFKA} =~ s/.*://r }, $class)
	  : $class->new;
	return $shared;
}

# A broker of the test's own, to be stopped and killed.
sub new
{
	my ($class) = @_;
	my $self = bless {
		dir => PostgreSQL::Test::Utils::tempdir('kafka'),
		port => free_ports()
	}, $class;

	push @started, $self;
	$self->start;
	return $self;
}

# The first of three ports in a row that nobody listens on.
sub free_ports
{
	while (1)
	{
		my $port = 20000 + int(rand(12000));

		return $port
		  if 3 == grep { PostgreSQL::Test::Cluster::can_bind('127.0.0.1', $port + $_) } 0 .. 2;
	}
}

sub bootstrap { return "127.0.0.1:$_[0]{port}"; }

# The same broker for SASL PLAIN, user "venice", password "secret".
sub sasl_bootstrap { return '127.0.0.1:' . ($_[0]{port} + 2); }

sub run_script
{
	my ($self, $command, @arguments) = @_;
	die 'the shared broker is not for this test to start or stop' unless $self->{dir};
	my @script = ("$VeniceTest::test_dir/kafka/kafka", $command, $self->{dir}, @arguments);

	note("@script");
	system(@script) == 0 or BAIL_OUT("@script failed");
	return;
}

# A broker that was stopped or killed has all that it had stored.
sub start { my ($self) = @_; return $self->run_script('start', $self->{port}); }
sub stop { return $_[0]->run_script('stop'); }
sub kill { return $_[0]->run_script('kill'); }

# SIGSTOP makes a broker that accepts connections and never answers, until SIGCONT.
sub signal
{
	my ($self, $signal) = @_;

	CORE::kill($signal, PostgreSQL::Test::Utils::slurp_file("$self->{dir}/pid"));
	return;
}

# One request to the client; request dies if it fails, and so does finish, which
# waits for what was only begun.
sub begin
{
	my ($self, $op, %arguments) = @_;

	unless ($self->{client})
	{
		chomp(my $venv = `$VeniceTest::test_dir/python/venv`);
		$self->{client} = VeniceTest::Process->new("$venv/bin/python",
			"$VeniceTest::test_dir/python/kafka_client.py", $self->bootstrap);
	}
	$self->{client}->ask({ op => $op, %arguments });
	return;
}

sub finish
{
	my ($self) = @_;
	my $answer = $self->{client}->read_answer;

	die "Kafka client: $answer->{error}" if defined $answer->{error};
	return $answer->{result};
}

sub request
{
	my ($self, $op, %arguments) = @_;

	$self->begin($op, %arguments);
	return $self->finish;
}

sub topic
{
	my ($self, $topic, $partitions, %config) = @_;

	return $self->request('topic',
		topic => $topic, partitions => $partitions // 1, config => \%config);
}

# Many of them at once: topics(\@topics, $partitions).
sub topics
{
	my ($self, $topics, $partitions) = @_;
	return $self->request('topics', topics => $topics, partitions => $partitions // 1);
}

sub delete_topic
{
	my ($self, $topic) = @_;
	return $self->request('delete_topic', topic => $topic);
}

# produce($topic, \@records, key => FORMAT, value => FORMAT, transaction => 'commit' | 'abort')
sub produce
{
	my ($self, $topic, $records, %options) = @_;
	return $self->request('produce', topic => $topic, records => $records, %options);
}

# All that is committed in a topic, by partition and offset: [ { partition, key => hex,
# value => hex, headers => [ [name, value] ] } ]
sub consume
{
	my ($self, $topic) = @_;
	return $self->request('consume', topic => $topic);
}

# format($name, \%schema, schema_id => 7), or registry => URL, subject => NAME,
# or neither: bare Avro.
sub format
{
	my ($self, $name, $schema, %options) = @_;
	return $self->request('format', name => $name, schema => $schema, %options);
}

# [ [low, high] of each partition ]
sub offsets
{
	my ($self, $topic) = @_;
	return $self->request('offsets', topic => $topic);
}

END
{
	local $?;
	$_->stop for grep { -e "$_->{dir}/pid" } @started;
}

# A cluster of mock brokers that misbehave on command, mock/mock_cluster.c.  What it
# inherits produces to it; it cannot make topics or tell of them in that way.
package VeniceTest::MockCluster;

use strict;
use warnings;

our @ISA = ('VeniceTest::Kafka');

sub new
{
	my ($class, $brokers) = @_;
	my $self = bless {}, $class;
	my $program = PostgreSQL::Test::Utils::tempdir('mock') . '/mock_cluster';

	system('sh', '-c', 'exec cc -O1 -Wall -Werror -o "$0" "$1" $(pkg-config --cflags --libs rdkafka)',
		$program, "$VeniceTest::test_dir/mock/mock_cluster.c") == 0 or die 'mock_cluster.c does not compile';
	$self->{mock} = VeniceTest::Process->new($program, $brokers);
	$self->{bootstrap} = $self->{mock}->read_line;
	return $self;
}

sub bootstrap { return $_[0]{bootstrap}; }

# command('leader', $topic, 0, 2): see mock_cluster.c.
sub command
{
	my ($self, @words) = @_;

	$self->{mock}->write_line("@words");
	my $answer = $self->{mock}->read_line;
	die "mock cluster, @words: $answer" if $answer ne 'ok';
	return;
}

sub topic { my ($self, $topic, $partitions) = @_; return $self->command('topic', $topic, $partitions); }

# A stand-in schema registry, registry/registry.py, for as long as the object lives.
package VeniceTest::Registry;

use strict;
use warnings;
use JSON::PP;

# new(prefix => '/x', user => 'name:password', token => 'secret', tls => 1)
sub new
{
	my ($class, %options) = @_;
	my @command = ('/usr/bin/python3', "$VeniceTest::test_dir/registry/registry.py");
	my $self = bless {}, $class;

	if (delete $options{tls})
	{
		$self->{tls} = PostgreSQL::Test::Utils::tempdir('registry');
		push @command, '--tls', $self->{tls};
	}
	push @command, "--$_", $options{$_} for sort keys %options;
	$self->{command} = \@command;
	$self->start;
	return $self;
}

sub url { return $_[0]{url}; }

# The certificate's text, for schema_registry_ca_pem.
sub certificate
{
	my ($self) = @_;
	return PostgreSQL::Test::Utils::slurp_file("$self->{tls}/certificate.pem");
}

# Makes a stopped registry answer at its old address again, empty.
sub start
{
	my ($self) = @_;
	my @port = $self->{url} ? ('--port', $self->{url} =~ m{:(\d+)}) : ();

	$self->{process} = VeniceTest::Process->new(@{ $self->{command} }, @port);
	$self->{url} = $self->{process}->read_line;
	return;
}

sub stop
{
	my ($self) = @_;

	(delete $self->{process})->end;
	return;
}

# fault('status', status => 500), fault('hang'), fault('slow', seconds => 3),
# fault('garbage'), fault(undef)
sub fault
{
	my ($self, $fault, %arguments) = @_;
	return $self->{process}->request({ fault => $fault, %arguments });
}

# How many requests each path was asked.
sub served { return $_[0]{process}->request({ served => 1 }); }

# register($subject, $schema, schemaType => ..., references => [...]) gives the
# id.  $schema is text, or what to encode as JSON.
sub register
{
	my ($self, $subject, $schema, %more) = @_;

	$schema = JSON::PP->new->canonical->encode($schema) if ref $schema;
	return $self->{process}->request({ register => $subject, schema => $schema, %more })->{id};
}

# The real registry that the stand-in is held against, registry/apicurio; a
# format of VeniceTest::Kafka registers schemas with it.
package VeniceTest::Apicurio;

use strict;
use warnings;
use Test::More;

sub new
{
	my ($class) = @_;
	my $self = bless { dir => PostgreSQL::Test::Utils::tempdir('apicurio') }, $class;
	my $script = "$VeniceTest::test_dir/registry/apicurio";

	chomp($self->{url} = `$script start $self->{dir} ${\VeniceTest::Kafka::free_ports()}`);
	BAIL_OUT('the registry does not start') if $?;
	return $self;
}

sub url { return $_[0]{url}; }

sub DESTROY
{
	my ($self) = @_;

	local $?;
	system("$VeniceTest::test_dir/registry/apicurio", 'stop', $self->{dir});
	return;
}

1;
