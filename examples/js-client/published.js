// --- JavaScript Client Example ---

// Function to generate the authentication token
// It uses the SubtleCrypto API available in modern browsers (and Node.js >= 15) for SHA256 hashing.
async function generateAuthToken(password, publicKeyPart) {
  if (typeof crypto === 'undefined' || !crypto.subtle) {
    console.error('SubtleCrypto API not available. This function requires a secure context (HTTPS) or a modern JS environment.');
    return null;
  }
  if (!password || !publicKeyPart) {
    console.error('Password and publicKeyPart are required.');
    return null;
  }

  const combinedString = password + publicKeyPart;
  const encoder = new TextEncoder();
  const data = encoder.encode(combinedString);

  try {
    const hashBuffer = await crypto.subtle.digest('SHA-256', data);
    const hashArray = Array.from(new Uint8Array(hashBuffer));
    const hashHex = hashArray.map(b => b.toString(16).padStart(2, '0')).join('');
    return hashHex;
  } catch (error) {
    console.error('Error generating token:', error);
    return null;
  }
}

// Example Usage (uncomment and adapt to run):
const ws = new WebSocket("ws://localhost:8765"); // Replace with your server address

ws.onopen = async () => {
  console.log("WebSocket connection opened.");

  // These should match your Passivbot's HJSON configuration
  const password = "your_secret_bot_password"; 
  const publicKeyPart = "client_A_key"; 

  const token = await generateAuthToken(password, publicKeyPart);

  if (token) {
    console.log("Generated token:", token);
    ws.send(JSON.stringify({
      type: "auth",
      token: token,
      public_key_part: publicKeyPart
    }));
  } else {
    console.error("Failed to generate token. Closing connection.");
    ws.close();
  }
};

ws.onmessage = (event) => {
  const message = JSON.parse(event.data);
  console.log("Received message:", message);

  if (message.type === "auth_result") {
    if (message.success) {
      console.log("Authentication successful!");
      // Now you can send other requests, e.g., get_config
      // Example: Request configuration after successful authentication
      ws.send(JSON.stringify({ type: "get_config" }));
    } else {
      console.error("Authentication failed:", message.message);
      ws.close();
    }
  } else if (message.type === "statistics") {
    console.log("Statistics Update:", message.data);
    // Handle statistics updates (e.g., update UI)
  } else if (message.type === "config") {
    console.log("Configuration Received:", message.data);
    // Handle config response
  } else if (message.type === "pong") {
    console.log("Received pong from server."); // For keep-alive
  } else if (message.type === "error") {
    console.error("Server error message:", message.message);
  }
};

ws.onerror = (error) => {
  console.error("WebSocket error:", error);
};

ws.onclose = (event) => {
  console.log("WebSocket connection closed.", event.code, event.reason);
};

// Example: send a ping to keep connection alive or check responsiveness
// setInterval(() => {
//   if (ws.readyState === WebSocket.OPEN) {
//     ws.send(JSON.stringify({ type: "ping" }));
//   }
// }, 30000); 
