import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.sql.Array;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.stream.Collectors;

/**
 * Look-ups with pgJDBC.
 *
 * <pre>java PgjdbcClient URL [pooled]</pre>
 *
 * For each line of standard input prints what the store user_features answers: "look" does every
 * kind of look-up, "star" a statement that names no columns. With "pooled" nothing is prepared by
 * name, as pgbouncer before 1.21 wants it.
 */
public class PgjdbcClient {
    static final int REPEAT = 8; // more than psycopg and pgJDBC wait until they prepare a statement

    static final String GET = "SELECT clicks, country, embedding FROM user_features.get(?)";
    static final String BATCH_GET =
        "SELECT ordinality, user_id, clicks, country, embedding FROM user_features.batch_get(?)";
    static final String BATCH_GET_PACKED = "SELECT user_features.batch_get_packed(?)";

    record Features(long clicks, String country, List<Float> embedding) {
        @Override
        public String toString() {
            return clicks + " " + country + " " + (embedding == null ? "null"
                : embedding.stream().map(String::valueOf).collect(Collectors.joining(",")));
        }
    }

    static Connection connect(String url, boolean pooled) throws SQLException {
        Properties properties = new Properties();
        if (pooled) {
            properties.setProperty("prepareThreshold", "0");
        }
        return DriverManager.getConnection(url, properties);
    }

    static Features features(ResultSet row) throws SQLException {
        Array embedding = row.getArray("embedding");
        return new Features(row.getLong("clicks"), row.getString("country"),
            embedding == null ? null : List.of((Float[]) embedding.getArray()));
    }

    /** The row of a key, or null. */
    static Features get(Connection connection, long key) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(GET)) {
            statement.setLong(1, key);
            try (ResultSet row = statement.executeQuery()) {
                return row.next() ? features(row) : null;
            }
        }
    }

    /** "ordinality key values" of the keys that are there. */
    static List<String> batchGet(Connection connection, Long... keys) throws SQLException {
        List<String> found = new ArrayList<>();
        try (PreparedStatement statement = connection.prepareStatement(BATCH_GET)) {
            statement.setArray(1, connection.createArrayOf("bigint", keys));
            try (ResultSet row = statement.executeQuery()) {
                while (row.next()) {
                    found.add(row.getLong("ordinality") + " " + row.getLong("user_id") + " " + features(row));
                }
            }
        }
        return found;
    }

    /** For each key its row, or null if the key is absent. */
    static List<Features> unpack(byte[] packed) throws IOException {
        DataInputStream in = new DataInputStream(new ByteArrayInputStream(packed));
        List<Features> rows = new ArrayList<>();
        in.skipBytes(19); // signature, flags and extension
        for (int fields; (fields = in.readShort()) != -1;) {
            DataInputStream[] field = new DataInputStream[fields];
            for (int i = 0; i < fields; i++) {
                int length = in.readInt();
                field[i] = length < 0 ? null : new DataInputStream(new ByteArrayInputStream(in.readNBytes(length)));
            }
            rows.add(fields == 0 ? null // what is behind the third field, a later version has added
                : new Features(field[0].readLong(), new String(field[1].readAllBytes(), "UTF-8"), floats(field[2])));
        }
        return rows;
    }

    /** A one-dimensional array: dimensions, has nulls, type, length, lower bound, elements. */
    static List<Float> floats(DataInputStream in) throws IOException {
        if (in == null) {
            return null;
        }
        List<Float> elements = new ArrayList<>();
        if (in.readInt() > 0) {
            in.skipBytes(8);
            int length = in.readInt();
            in.skipBytes(4);
            for (int i = 0; i < length; i++) {
                in.skipBytes(4);
                elements.add(in.readFloat());
            }
        }
        return elements;
    }

    static List<Features> batchGetPacked(Connection connection, Long... keys) throws SQLException, IOException {
        try (PreparedStatement statement = connection.prepareStatement(BATCH_GET_PACKED)) {
            statement.setArray(1, connection.createArrayOf("bigint", keys));
            try (ResultSet row = statement.executeQuery()) {
                row.next();
                return unpack(row.getBytes(1));
            }
        }
    }

    static String text(List<?> rows) {
        return rows.stream().map(row -> row == null ? "absent" : row.toString()).collect(Collectors.joining("; "));
    }

    static String look(Connection connection) throws SQLException, IOException {
        String answer = "";
        for (int i = 0; i < REPEAT; i++) {
            List<Features> gets = new ArrayList<>();
            for (long key : new long[] {4, 99, 1}) {
                gets.add(get(connection, key));
            }
            answer = "get: " + text(gets)
                + "\nbatch: " + text(batchGet(connection, 4L, 99L, 1L))
                + "\npacked: " + text(batchGetPacked(connection, 4L, 99L, 1L));
        }
        return answer;
    }

    static String star(Connection connection) throws SQLException {
        int columns = 0;
        for (int i = 0; i < REPEAT; i++) {
            try (PreparedStatement statement = connection.prepareStatement("SELECT * FROM user_features.get(4)");
                ResultSet row = statement.executeQuery()) {
                columns = row.getMetaData().getColumnCount();
            }
        }
        return columns + " columns";
    }

    public static void main(String[] arguments) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        try (Connection connection = connect(arguments[0], arguments.length > 1)) {
            for (String line; (line = in.readLine()) != null;) {
                try {
                    System.out.println(line.equals("look") ? look(connection) : star(connection));
                } catch (SQLException error) {
                    System.out.println("error: " + error.getSQLState());
                }
                System.out.println("end");
            }
        }
    }
}
