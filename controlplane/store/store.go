package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Config says how to reach Postgres. The zero value of every field but DatabaseURL takes its default.
type Config struct {
	// DatabaseURL is a libpq URL or keyword string. The first schema of its search_path holds the tables.
	DatabaseURL string
	// MaxConnections bounds the pool. Default 16.
	MaxConnections int32
	// StatementTimeout bounds each statement. Default 30s. Migrations have none.
	StatementTimeout time.Duration
	// LockTimeout bounds each wait for a lock. Default 10s.
	LockTimeout time.Duration
	// ConnectTimeout bounds each attempt to connect. Default 5s.
	ConnectTimeout time.Duration
}

// Bounds that apply where Config says nothing.
const (
	defaultMaxConnections   = 16
	defaultStatementTimeout = 30 * time.Second
	defaultLockTimeout      = 10 * time.Second
	defaultConnectTimeout   = 5 * time.Second
	// The longest channel name is the schema's plus "_rollouts", within Postgres's 63 bytes.
	maxSchemaName = 48
)

// Store is the control plane's Postgres. It is safe for concurrent use.
type Store struct {
	pool   *pgxpool.Pool
	schema string
}

// Open connects to Postgres and checks that it answers. It does not migrate: call [Store.Migrate].
func Open(ctx context.Context, config Config) (*Store, error) {
	poolConfig, err := config.pool()
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, poolConfig)
	if err != nil {
		return nil, fmt.Errorf("making the pool of database connections: %w", err)
	}
	schema, err := currentSchema(ctx, pool)
	if err != nil {
		pool.Close()
		return nil, err
	}
	return &Store{pool: pool, schema: schema}, nil
}

// pool translates the settings for pgx. Parsing errors of pgx keep the password out.
func (c Config) pool() (*pgxpool.Config, error) {
	config, err := pgxpool.ParseConfig(c.DatabaseURL)
	if err != nil {
		return nil, fmt.Errorf("reading the database URL: %w", err)
	}
	config.MaxConns = orDefault(c.MaxConnections, defaultMaxConnections)
	config.MaxConnLifetime = time.Hour
	config.MaxConnLifetimeJitter = 10 * time.Minute
	config.ConnConfig.ConnectTimeout = orDefault(c.ConnectTimeout, defaultConnectTimeout)
	parameters := config.ConnConfig.RuntimeParams
	parameters["application_name"] = "tidegate-controlplane"
	parameters["timezone"] = "UTC"
	parameters["statement_timeout"] = milliseconds(orDefault(c.StatementTimeout, defaultStatementTimeout))
	parameters["lock_timeout"] = milliseconds(orDefault(c.LockTimeout, defaultLockTimeout))
	// A generic plan made while tables were small (a new installation, a bulk load) scans them whole ever after; planning
	// anew costs a tenth of a millisecond.
	parameters["plan_cache_mode"] = "force_custom_plan"
	// A replica that froze in a transaction must not hold its locks for ever.
	parameters["idle_in_transaction_session_timeout"] = milliseconds(orDefault(c.StatementTimeout, defaultStatementTimeout))
	return config, nil
}

func orDefault[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

func milliseconds(d time.Duration) string {
	return fmt.Sprint(max(1, d.Milliseconds()))
}

// currentSchema is the first schema of search_path that exists.
func currentSchema(ctx context.Context, pool *pgxpool.Pool) (string, error) {
	var schema *string
	if err := pool.QueryRow(ctx, "SELECT current_schema()").Scan(&schema); err != nil {
		return "", fmt.Errorf("asking Postgres for its schema: %w", translate(err))
	}
	if schema == nil {
		return "", errors.New("no schema of the database's search_path exists")
	}
	if len(*schema) > maxSchemaName {
		return "", fmt.Errorf("the schema's name %q is longer than %d bytes", *schema, maxSchemaName)
	}
	return *schema, nil
}

// Close waits for running transactions and ends every connection.
func (s *Store) Close() {
	s.pool.Close()
}

// Ping answers whether Postgres does.
func (s *Store) Ping(ctx context.Context) error {
	return translate(s.pool.Ping(ctx))
}

// Schema is the name of the schema that holds the tables. Notification channels and advisory locks carry it, so that several
// installations can share a database.
func (s *Store) Schema() string {
	return s.schema
}

// channel names the notification channel of a topic.
func (s *Store) channel(topic string) string {
	return s.schema + "_" + topic
}

// connectionConfig is how to open one connection outside of the pool.
func (s *Store) connectionConfig() *pgx.ConnConfig {
	return s.pool.Config().ConnConfig.Copy()
}

// quoted is an identifier for SQL that takes no parameters (LISTEN).
func quoted(identifier string) string {
	return `"` + strings.ReplaceAll(identifier, `"`, `""`) + `"`
}
