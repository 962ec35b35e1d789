// The script of the page of datasets. It sends a file as it is, with its progress, and shows what
// the service says about it. Without it, the page shows how to upload from a program.

const form = document.getElementById("upload");
const find = (id) => document.getElementById(id);
const [file, send, cancel, sending, sent] = ["file", "send", "cancel", "sending", "sent"].map(find);

/** Show what happens, and a problem of the service as its own page shows it. */
function tell(text, problem = null) {
  find("upload-status").textContent = text;
  find("upload-problem").replaceChildren(...(problem ? [document.importNode(problem, true)] : []));
}

/** Show the progress and the button to cancel while a file is sent. */
function setSending(isSending) {
  sending.hidden = cancel.hidden = !isSending;
  send.disabled = isSending;
  sent.value = 0;
}

/** Return the address with the fields of the form; the file is the body. */
function address() {
  const fields = [...new FormData(form)].filter(([, value]) => typeof value === "string" && value);
  return `${form.action}?${new URLSearchParams(fields)}`;
}

/** Send the file. This is no `fetch`, which does not report how much of a body it has sent. */
function upload() {
  const request = new XMLHttpRequest();
  request.open("POST", address());
  request.setRequestHeader("accept", "text/html"); // of problems
  request.setRequestHeader("content-type", "application/octet-stream");
  request.setRequestHeader(form.dataset.tokenHeader, form.dataset.token);
  request.upload.addEventListener("progress", (event) => (sent.value = event.loaded / event.total));
  request.upload.addEventListener("load", () => {
    sent.removeAttribute("value"); // how long the check takes is not known
    cancel.hidden = true; // from now on, the service completes it
    tell("The service checks the file.");
  });
  request.addEventListener("load", () => {
    setSending(false);
    if (request.status === 201) {
      tell("Uploaded.");
      location.assign(new URL(request.getResponseHeader("location"), request.responseURL));
      return;
    }
    const page = new DOMParser().parseFromString(request.responseText, "text/html");
    tell("The upload has failed.", page.querySelector(".problem"));
  });
  request.addEventListener("error", () => {
    setSending(false);
    tell("The service does not answer, or has ended the connection. Try again.");
  });
  request.addEventListener("abort", () => {
    setSending(false);
    tell("The upload was cancelled.");
  });
  cancel.onclick = () => request.abort();
  setSending(true);
  tell("The file is sent.");
  request.send(file.files[0]);
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const most = Number(form.dataset.most);
  if (file.files[0].size <= most) upload();
  else tell(`The file has ${file.files[0].size.toLocaleString("en")} bytes, and at most ${most.toLocaleString("en")} are accepted: send fewer samples.`);
});

// the name of the file is a good name, until the user writes another
file.addEventListener("change", () => {
  const name = find("name");
  if (!name.value && file.files.length) name.value = file.files[0].name.replace(/\.[^.]*$/, "").slice(0, 128);
});

form.hidden = false;
