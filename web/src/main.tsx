import "@glideapps/glide-data-grid/dist/index.css";
import { createRoot } from "react-dom/client";
import "./styles/tokens.css";
import "./styles/page.css";
import { BookPage } from "./frame/book_page";
import { bookId, connect } from "./live";
import { Start } from "./start/start";
import { startTheme } from "./theme";

startTheme();
const book = bookId();
if (book) connect(book);
const root = document.getElementById("page");
if (root) createRoot(root).render(book ? <BookPage /> : <Start />);
