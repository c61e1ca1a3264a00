package octopack;

import java.io.BufferedOutputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.OutputStream;
import java.io.StringWriter;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import javax.tools.FileObject;
import javax.tools.ForwardingJavaFileManager;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileManager;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.ToolProvider;

/**
 * A warm compiler: reads sources from standard input, writes class files to standard output; nothing touches the disk.
 *
 * <p>In: length, UTF-8 text of Main.java. Out: 0 (compiled), 1 (rejected) or 2 (the compiler itself failed); the messages;
 * the number of classes; for each its name and its bytes. All numbers are 4 bytes, all texts have their length in front.
 */
public final class Compile {
    private Compile() {}

    private static final class Source extends SimpleJavaFileObject {
        private final String text;

        Source(String text) {
            super(URI.create("string:///Main.java"), Kind.SOURCE);
            this.text = text;
        }

        @Override
        public CharSequence getCharContent(boolean ignoreEncodingErrors) {
            return text;
        }
    }

    private static final class Memory extends ForwardingJavaFileManager<StandardJavaFileManager> {
        final Map<String, ByteArrayOutputStream> classes = new LinkedHashMap<>();

        Memory(StandardJavaFileManager manager) {
            super(manager);
        }

        @Override
        public JavaFileObject getJavaFileForOutput(
                JavaFileManager.Location where, String name, JavaFileObject.Kind kind, FileObject sibling) {
            return new SimpleJavaFileObject(URI.create("memory:///class"), kind) {
                @Override
                public OutputStream openOutputStream() {
                    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
                    classes.put(name, bytes);
                    return bytes;
                }
            };
        }
    }

    private static void put(DataOutputStream output, byte[] bytes) throws IOException {
        output.writeInt(bytes.length);
        output.write(bytes);
    }

    /** Serves until the end of its input. */
    public static void main(String[] arguments) throws IOException {
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        StandardJavaFileManager manager = compiler.getStandardFileManager(null, null, StandardCharsets.UTF_8);
        List<String> options = List.of("-proc:none", "-cp", arguments[0]);
        DataInputStream input = new DataInputStream(System.in);
        DataOutputStream output = new DataOutputStream(new BufferedOutputStream(System.out));
        while (true) {
            byte[] text;
            try {
                text = new byte[input.readInt()];
            } catch (EOFException end) {
                return;
            }
            input.readFully(text);
            Memory memory = new Memory(manager);
            StringWriter messages = new StringWriter();
            int result;
            try {
                Source source = new Source(new String(text, StandardCharsets.UTF_8));
                result = compiler.getTask(messages, memory, null, options, null, List.of(source)).call() ? 0 : 1;
            } catch (Throwable error) {
                result = 2;
            }
            output.writeInt(result);
            put(output, messages.toString().getBytes(StandardCharsets.UTF_8));
            output.writeInt(memory.classes.size());
            for (Map.Entry<String, ByteArrayOutputStream> one : memory.classes.entrySet()) {
                put(output, one.getKey().getBytes(StandardCharsets.UTF_8));
                put(output, one.getValue().toByteArray());
            }
            output.flush();
        }
    }
}
