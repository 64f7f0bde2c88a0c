import { Board } from "./board/board.js";

window.safe_restart = { ...window.safe_restart, Board };
