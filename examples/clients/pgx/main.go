// Look-ups with pgx.
//
//	pgx_client CONNECTION [pooled]
//
// For each line of standard input prints what the store user_features answers: "look" does every
// kind of look-up, "star" a statement that names no columns. With "pooled" nothing is prepared by
// name, as pgbouncer before 1.21 wants it.
package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
)

const repeat = 8 // more than psycopg and pgJDBC wait until they prepare a statement

const (
	getSQL            = "SELECT clicks, country, embedding FROM user_features.get($1)"
	batchGetSQL       = "SELECT ordinality, user_id, clicks, country, embedding FROM user_features.batch_get($1)"
	batchGetPackedSQL = "SELECT user_features.batch_get_packed($1)"
)

type features struct {
	clicks    *int64
	country   *string
	embedding []float32
}

// A row of batch_get.
type found struct {
	ordinality, userID int64
	features
}

func connect(ctx context.Context, connection string, pooled bool) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(connection)
	if err != nil {
		return nil, err
	}
	if pooled {
		config.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	}
	return pgx.ConnectConfig(ctx, config)
}

// The row of a key, or nil.
func scan(row pgx.Row) (*features, error) {
	var f features
	err := row.Scan(&f.clicks, &f.country, &f.embedding)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return &f, err
}

func get(ctx context.Context, conn *pgx.Conn, key int64) (*features, error) {
	return scan(conn.QueryRow(ctx, getSQL, key))
}

// The keys that are there.
func batchGet(ctx context.Context, conn *pgx.Conn, keys []int64) ([]found, error) {
	rows, err := conn.Query(ctx, batchGetSQL, keys)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (found, error) {
		var f found
		err := row.Scan(&f.ordinality, &f.userID, &f.clicks, &f.country, &f.embedding)
		return f, err
	})
}

// For each key its row, or nil if the key is absent.
func unpack(types *pgtype.Map, packed []byte) ([]*features, error) {
	oids := []uint32{pgtype.Int8OID, pgtype.TextOID, pgtype.Float4ArrayOID}
	var rows []*features
	rest := packed[19:] // behind the signature, flags and extension
	for int16(binary.BigEndian.Uint16(rest)) != -1 {
		count := int(binary.BigEndian.Uint16(rest))
		rest = rest[2:]
		var f *features
		if count > 0 {
			f = &features{}
		}
		for i := 0; i < count; i++ {
			var value []byte
			length := int32(binary.BigEndian.Uint32(rest))
			rest = rest[4:]
			if length >= 0 {
				value, rest = rest[:length], rest[length:]
			}
			if i < len(oids) { // a later version may have more columns
				target := []any{&f.clicks, &f.country, &f.embedding}[i]
				if err := types.Scan(oids[i], pgx.BinaryFormatCode, value, target); err != nil {
					return nil, err
				}
			}
		}
		rows = append(rows, f)
	}
	return rows, nil
}

func batchGetPacked(ctx context.Context, conn *pgx.Conn, keys []int64) ([]*features, error) {
	var packed []byte
	if err := conn.QueryRow(ctx, batchGetPackedSQL, keys).Scan(&packed); err != nil {
		return nil, err
	}
	return unpack(conn.TypeMap(), packed)
}

// Gets that wait for one another's answers only at the end.
func getMany(ctx context.Context, conn *pgx.Conn, keys []int64) ([]*features, error) {
	batch := &pgx.Batch{}
	for _, key := range keys {
		batch.Queue(getSQL, key)
	}
	results := conn.SendBatch(ctx, batch)
	defer results.Close()
	rows := make([]*features, len(keys))
	for i := range keys {
		var err error
		if rows[i], err = scan(results.QueryRow()); err != nil {
			return nil, err
		}
	}
	return rows, nil
}

func (f *features) String() string {
	if f == nil {
		return "absent"
	}
	embedding := "null"
	if f.embedding != nil {
		embedding = strings.ReplaceAll(strings.Trim(fmt.Sprint(f.embedding), "[]"), " ", ",")
	}
	return fmt.Sprintf("%d %s %s", *f.clicks, *f.country, embedding)
}

func text(rows []*features) string {
	texts := make([]string, len(rows))
	for i, row := range rows {
		texts[i] = row.String()
	}
	return strings.Join(texts, "; ")
}

func look(ctx context.Context, conn *pgx.Conn) (string, error) {
	var answer string
	keys := []int64{4, 99, 1}
	for n := 0; n < repeat; n++ {
		gets := make([]*features, len(keys))
		for i, key := range keys {
			var err error
			if gets[i], err = get(ctx, conn, key); err != nil {
				return "", err
			}
		}
		batch, err := batchGet(ctx, conn, keys)
		if err != nil {
			return "", err
		}
		packed, err := batchGetPacked(ctx, conn, keys)
		if err != nil {
			return "", err
		}
		pipeline, err := getMany(ctx, conn, keys)
		if err != nil {
			return "", err
		}
		texts := make([]string, len(batch))
		for i := range batch {
			texts[i] = fmt.Sprintf("%d %d %v", batch[i].ordinality, batch[i].userID, &batch[i].features)
		}
		answer = fmt.Sprintf("get: %s\nbatch: %s\npacked: %s\npipeline: %s",
			text(gets), strings.Join(texts, "; "), text(packed), text(pipeline))
	}
	return answer, nil
}

func star(ctx context.Context, conn *pgx.Conn) (string, error) {
	columns := 0
	for n := 0; n < repeat; n++ {
		rows, err := conn.Query(ctx, "SELECT * FROM user_features.get(4)")
		if err != nil {
			return "", err
		}
		columns = len(rows.FieldDescriptions())
		rows.Close()
		if rows.Err() != nil {
			return "", rows.Err()
		}
	}
	return fmt.Sprintf("%d columns", columns), nil
}

func main() {
	ctx := context.Background()
	conn, err := connect(ctx, os.Args[1], len(os.Args) > 2)
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close(ctx)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		command := star
		if in.Text() == "look" {
			command = look
		}
		answer, err := command(ctx, conn)
		var pgErr *pgconn.PgError
		if errors.As(err, &pgErr) {
			answer = "error: " + pgErr.Code
		} else if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%s\nend\n", answer)
	}
}
