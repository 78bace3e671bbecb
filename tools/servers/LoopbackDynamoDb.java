// DynamoDB Local on 127.0.0.1 only, as one database for all regions and access keys.
//
//   LoopbackDynamoDb PORT memory|FOLDER at-once|delayed
//
// Its own main class cannot be told an address and listens on every interface, and its connector
// hangs up on a connection that was idle for 30 s, which a client that waits for changes is. So its
// handler is put into a connector of ours. `delayed`: an index stays CREATING or DELETING for a
// while, as in the service.

import com.amazonaws.services.dynamodbv2.local.server.LocalDynamoDBRequestHandler;
import com.amazonaws.services.dynamodbv2.local.server.LocalDynamoDBServerHandler;
import org.eclipse.jetty.server.Server;
import org.eclipse.jetty.server.ServerConnector;
import org.eclipse.jetty.server.handler.ContextHandler;

public final class LoopbackDynamoDb {
  public static void main(String[] arguments) throws Exception {
    final int port = Integer.parseInt(arguments[0]);
    final boolean inMemory = arguments[1].equals("memory");
    final String folder = inMemory ? null : arguments[1];
    final boolean oneDatabase = true;
    final boolean delayed = arguments[2].equals("delayed");

    final var requests =
        new LocalDynamoDBRequestHandler(0, inMemory, folder, oneDatabase, delayed);
    final String noCrossOrigin = null;

    final Server server = new Server();
    final ServerConnector connector = new ServerConnector(server);
    connector.setHost("127.0.0.1");
    connector.setPort(port);
    connector.setIdleTimeout(0);  // never
    server.addConnector(connector);
    server.setHandler(
        new ContextHandler(new LocalDynamoDBServerHandler(requests, noCrossOrigin), "/"));
    server.start();
    server.join();
  }
}
